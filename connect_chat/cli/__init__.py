"""The command line: ``connect-chat``."""

import sys

from connect_chat.errors import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run ``connect-chat``; without what it needs, say which extra to install and exit with 1."""
    try:
        try:
            from connect_chat.cli.app import app
        except ModuleNotFoundError as error:
            if error.name not in ("typer", "rich"):
                raise
            raise MissingExtraError("The command line", "cli") from error
        app()
    except MissingExtraError as error:
        sys.exit(str(error))
