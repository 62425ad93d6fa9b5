"""The templates by their names, and those that are no menus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from connect_chat._shape import json_object
from connect_chat.errors import InvalidContentError
from connect_chat.interactive.answers import (
    Choice,
    InteractiveAnswer,
    chosen,
    no_such_choice,
    response,
)
from connect_chat.interactive.base import KnownTemplate
from connect_chat.interactive.limits import check_count, check_text
from connect_chat.interactive.menus import Carousel, ListPicker, Panel, QuickReply
from connect_chat.interactive.parts import Location, Part, TimeSlot

__all__ = [
    "INTERACTIVE_CONTENT_TYPE",
    "Template",
    "TimePicker",
    "UnknownTemplate",
    "ViewResource",
    "parse_template",
]

INTERACTIVE_CONTENT_TYPE = "application/vnd.amazonaws.connect.message.interactive"


class TimePicker(KnownTemplate):
    """Appointments to choose from.

    Attributes:
        title: The question, 1 to 400 characters.
        subtitle: More about it, up to 400 characters.
        timeslots: The appointments on offer, at least one.
        time_zone_offset: The place's distance from UTC, in minutes.
        location: The place.
    """

    template_type: Literal["TimePicker"] = "TimePicker"
    title: str
    subtitle: str | None = None
    timeslots: tuple[TimeSlot, ...] = ()
    time_zone_offset: int | None = None
    location: Location | None = None

    _lists = {"timeslots": TimeSlot.parse}  # noqa: RUF012 - a ClassVar, as declared above

    @property
    def choices(self) -> tuple[TimeSlot, ...]:
        """The appointments."""
        return self.timeslots

    def choose(self, choice: Choice) -> InteractiveAnswer:
        """Return the answer that choosing an appointment gives.

        Args:
            choice: The time slot, its ``date`` to the letter, when it begins (an aware
                datetime), or its index.

        Raises:
            InvalidRequestError: There is no such appointment.
        """
        found = chosen(choice, self.timeslots)
        if not found:
            raise no_such_choice(len(self.timeslots), choice)
        return InteractiveAnswer(self.timeslots[found[0]].date)

    def _check(self, where: str = "") -> None:
        check_text(f"{where}title", self.title, least=1)
        check_text(f"{where}subtitle", self.subtitle)
        check_count(f"{where}timeslots", self.timeslots, 1)
        for index, slot in enumerate(self.timeslots):
            if slot.start is None:
                raise InvalidContentError(
                    f"{where}timeslots[{index}].date", "ISO 8601 with an offset from UTC"
                )
        super()._check(where)


class ViewResource(KnownTemplate):
    """A view of a step-by-step guide: a form, a confirmation and the like.

    Attributes:
        view_id: Which view.
        view_token: What DescribeView takes to describe it. A secret.
        view_data: What is filled in.
    """

    template_type: Literal["ViewResource"] = "ViewResource"
    view_id: str | None = None
    view_token: str | None = None
    view_data: dict[str, Any] | None = None

    def respond(self, action: str, data: Mapping[str, Any] | None = None) -> InteractiveAnswer:
        """Return the answer that an action of the view gives.

        Args:
            action: One of the ``actions`` of the view that DescribeView describes.
            data: What was filled in, anything that JSON can hold.
        """
        return response(action=action, data=data or {}, templateType=self.template_type)


class UnknownTemplate(Part):
    """A template that this version does not know; read it through ``raw``.

    Attributes:
        template_type: Its name, or None if it has none.
    """

    template_type: str | None = None


Template = ListPicker | TimePicker | Panel | QuickReply | Carousel | ViewResource | UnknownTemplate
"""What an interactive message shows."""

_TEMPLATES: dict[object, type[Template]] = {
    "ListPicker": ListPicker,
    "TimePicker": TimePicker,
    "Panel": Panel,
    "QuickReply": QuickReply,
    "Carousel": Carousel,
    "ViewResource": ViewResource,
}


def parse_template(content: str | None) -> Template | None:
    """Return the template that the content of an interactive message is.

    Args:
        content: The item's content.

    Returns:
        The template, or None if the content is no JSON object.
    """
    raw = json_object(content)
    if raw is None:
        return None
    name = raw.get("templateType")
    kind = _TEMPLATES.get(name) if isinstance(name, str) else None
    return (kind or UnknownTemplate).parse(raw)
