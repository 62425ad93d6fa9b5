"""Views: what a flow shows a customer as a form, and DescribeView describes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from connect_chat.emulator.refusal import Refusal

__all__ = ["DETAIL_VIEW_TOKEN", "Views"]

DETAIL_VIEW_TOKEN = "detail"  # noqa: S105 - the name of what everybody may see
"""The token of the view that every emulator has."""

_DETAIL_VIEW = {
    "InputSchema": json.dumps(
        {
            "type": "object",
            "properties": {"Heading": {"type": "string"}, "Description": {"type": "string"}},
            "required": [],
        }
    ),
    "Template": json.dumps(
        {
            "Head": {"Title": "Detail", "Configuration": {"Layout": {"Columns": ["12"]}}},
            "Body": [{"_id": "heading", "Type": "TextHeading", "Content": ["$.Heading"]}],
        }
    ),
    "Actions": ["ActionSelected"],
}


class Views:
    """The views of the emulated instance, by their tokens."""

    def __init__(self) -> None:
        self._by_token: dict[str, dict[str, Any]] = {}
        self._register(DETAIL_VIEW_TOKEN, "detail", _DETAIL_VIEW)

    def add(self, name: str, content: Mapping[str, Any]) -> str:
        """Register a view; return the token that an interactive message carries for it."""
        token = secrets.token_urlsafe(48)
        self._register(token, name, content)
        return token

    def _register(self, token: str, name: str, content: Mapping[str, Any]) -> None:
        view_id = str(uuid4())
        self._by_token[token] = {
            "Id": view_id,
            "Arn": f"arn:aws:connect:us-east-1:000000000000:view/{view_id}",
            "Name": name,
            "Version": 1,
            "Content": dict(content),
        }

    def describe(self, token: str) -> dict[str, Any]:
        """Return the View of a token.

        Raises:
            Refusal: ResourceNotFoundException.
        """
        try:
            return self._by_token[token]
        except KeyError:
            raise Refusal("ResourceNotFoundException", "There is no such view.") from None
