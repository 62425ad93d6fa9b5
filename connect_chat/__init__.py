"""The asyncio client for Amazon Connect chat."""

from connect_chat._version import __version__

__all__ = ["__version__"]
