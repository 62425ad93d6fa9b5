"""The service on this machine, for tests, demos and development."""
