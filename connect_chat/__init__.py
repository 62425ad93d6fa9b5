"""The asyncio client for Amazon Connect chat."""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connect_chat._public import *  # noqa: F403 - all of them
    from connect_chat._public import __all__ as __all__

else:

    def __getattr__(name: str) -> Any:
        """Return a public name, all of which are loaded when the first of them is used.

        Not before, since pytest imports this package for its plugin, in every run of everybody who
        has it installed: that must not cost them the import of HTTP and websocket clients.
        """
        public = importlib.import_module("connect_chat._public")
        if name == "__all__" or name in public.__all__:
            return globals().setdefault(name, getattr(public, name))
        if name in globals():  # a module, which is there by now
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *importlib.import_module("connect_chat._public").__all__})
