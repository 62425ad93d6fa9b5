"""The command line: ``connect-chat``."""
