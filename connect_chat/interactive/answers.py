"""What is said in answer to a template, as the vendor's own chat widget says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeVar

from pydantic_core import to_json

from connect_chat._shape import json_object
from connect_chat.errors import InvalidRequestError
from connect_chat.interactive.parts import Element, Part, TimeSlot, require_aware

__all__ = [
    "INTERACTIVE_RESPONSE_CONTENT_TYPE",
    "CarouselSelection",
    "Choice",
    "InteractiveAnswer",
    "carousel_answer",
    "chosen",
    "no_such_choice",
    "response",
]

INTERACTIVE_RESPONSE_CONTENT_TYPE = "application/vnd.amazonaws.connect.message.interactive.response"

P = TypeVar("P", Element, TimeSlot)

Choice = Element | TimeSlot | str | int | datetime
"""What a choice is named by; see the ``choose`` of each template."""


@dataclass(frozen=True, slots=True)
class InteractiveAnswer:
    """An answer to an interactive message, to be sent with `ChatSession.reply`.

    Attributes:
        content: What is said. Not in the repr.
        content_type: How: ``text/plain`` or the content type of interactive responses.
    """

    content: str = field(repr=False)
    content_type: str = "text/plain"


class CarouselSelection(Part):
    """What was chosen in a carousel, as its answer says it.

    Attributes:
        template_identifier: The identifier of the list picker or panel.
        list_title: Its title.
        selection_text: The title of the element.
    """

    template_identifier: str
    list_title: str
    selection_text: str

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return the selection that a ``text/plain`` message is, or None if it is another text.

        Args:
            text: The message's text: these answers have no content type of their own.
        """
        return cls.parse(json_object(text))


def carousel_answer(
    template_identifier: str | None, list_title: str, selection_text: str
) -> InteractiveAnswer:
    """Return the answer that choosing something in a carousel gives."""
    answer = {"listTitle": list_title, "selectionText": selection_text}
    if template_identifier is not None:
        answer = {"templateIdentifier": template_identifier} | answer
    return InteractiveAnswer(to_json(answer).decode())


def response(*, action: str, data: Mapping[str, Any], **more: str) -> InteractiveAnswer:
    """Return an answer that is an interactive response."""
    answer = {"action": action, "data": dict(data), **more, "version": "1.0"}
    return InteractiveAnswer(to_json(answer).decode(), INTERACTIVE_RESPONSE_CONTENT_TYPE)


def chosen(choice: Choice, choices: Sequence[P]) -> list[int]:
    """Return where, among the choices, those are that are meant.

    An object itself goes before others that are equal to it.

    Raises:
        InvalidRequestError: The choice is an index out of range or a naive datetime.
    """
    if isinstance(choice, int):
        if not 0 <= choice < len(choices):
            raise InvalidRequestError("choice", f"an index below {len(choices)}", size=choice)
        return [choice]
    if isinstance(choice, datetime):
        require_aware("choice", choice)
    same = [index for index, part in enumerate(choices) if part is choice]
    return same or [index for index, part in enumerate(choices) if _means(choice, part)]


def _means(choice: Choice, part: Element | TimeSlot) -> bool:
    if isinstance(part, TimeSlot):
        return choice in (part, part.date, part.start)
    return choice in (part, part.title)


def no_such_choice(offered: int, choice: Choice, elements: Sequence[Element] = ()) -> Exception:
    """Return the error for a choice that is not among ``offered`` ones."""
    if any(_means(choice, element) for element in elements if element.is_link):
        return InvalidRequestError(
            "choice", "something to answer: a hyperlink is opened at its url, and sends nothing"
        )
    return InvalidRequestError(
        "choice", f"one of the {offered} that the message offers, which .choices lists"
    )
