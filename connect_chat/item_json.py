"""Items straight from JSON, as they come on a websocket: many, and nearly all of a few kinds."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, cast

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, from_json
from pydantic_core.core_schema import tagged_union_schema

from connect_chat.items import (
    EVENT_PREFIX,
    INTERACTIVE_CONTENT_TYPE,
    AttachmentMessage,
    InteractiveMessage,
    Item,
    Message,
    ParticipantJoined,
    ParticipantLeft,
    Receipt,
    Typing,
    parse_item,
)

__all__ = ["COMMON", "parse_item_json"]

COMMON: dict[str, type[Item] | dict[str, type[Item]]] = {
    "MESSAGE": {
        "text/plain": Message,
        "text/markdown": Message,
        "application/json": Message,
        INTERACTIVE_CONTENT_TYPE: InteractiveMessage,
    },
    "EVENT": {
        EVENT_PREFIX + "typing": Typing,
        EVENT_PREFIX + "participant.joined": ParticipantJoined,
        EVENT_PREFIX + "participant.left": ParticipantLeft,
    },
    "MESSAGEMETADATA": Receipt,
    "ATTACHMENT": AttachmentMessage,
}
"""The kinds that nearly all items are of, by ``Type`` and ``ContentType``."""


def parse_item_json(text: str) -> Item:
    """Return the typed item that a JSON text stands for, as `parse_item` does.

    Items of the kinds in `COMMON` are made without any object in between, which takes two thirds
    of the time. The text takes the place of that object in what the item keeps: it is smaller,
    and no work for the garbage collector. Its ``raw`` is made when it is asked for.

    Raises:
        ValueError: It is not JSON, or not an Item.
    """
    try:
        # Python names are ours: on the wire only the service's spelling counts.
        item = cast("Item", _common().validate_json(text, by_name=False))
    except ValueError:
        # Another kind, or something malformed that costs no more than itself.
        item = parse_item(from_json(text, cache_strings="keys"))
    item.__dict__["_raw"] = text
    return item


class _ToldByTags:
    """Has pydantic tell the kinds of `COMMON` apart by what is written in the JSON."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source
        return tagged_union_schema(
            {
                type_: handler.generate_schema(kind)
                if isinstance(kind, type)
                else tagged_union_schema(
                    {name: handler.generate_schema(one) for name, one in kind.items()},
                    "ContentType",
                )
                for type_, kind in COMMON.items()
            },
            "Type",
        )


@cache
def _common() -> SchemaValidator:
    """Return the validator, made when the first item comes, as those of the kinds are."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Item, _ToldByTags])
    adapter.rebuild()  # for items, that is put off
    return cast("SchemaValidator", adapter.validator)
