"""Templates of elements to choose from: list picker, panel, quick reply, and a carousel of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from connect_chat.errors import InvalidContentError, InvalidRequestError
from connect_chat.interactive.answers import (
    Choice,
    InteractiveAnswer,
    carousel_answer,
    chosen,
    no_such_choice,
    response,
)
from connect_chat.interactive.base import KnownTemplate
from connect_chat.interactive.limits import (
    QUICK_REPLY_LIMIT,
    TITLE_LIMIT,
    check_count,
    check_text,
)
from connect_chat.interactive.parts import Element, Pictured

__all__ = ["Carousel", "ListPicker", "Panel", "PanelChoice", "QuickReply"]

_ACTIONS = ("SHOW_MORE", "PREVIOUS_OPTIONS")


class Menu(KnownTemplate):
    """A template of elements to choose from.

    Attributes:
        title: The question, 1 to 400 characters.
        elements: What can be chosen, and links.
    """

    title: str
    elements: tuple[Element, ...] = ()

    _lists = {"elements": Element.parse}  # noqa: RUF012 - a ClassVar, as declared above
    _fewest: ClassVar[int] = 1
    _most: ClassVar[int]
    _title_limit: ClassVar[int] = TITLE_LIMIT

    @property
    def choices(self) -> tuple[Element, ...]:
        """The elements that can be chosen, in order: all but the links."""
        return tuple(element for element in self.elements if not element.is_link)

    def choose(self, choice: Choice) -> InteractiveAnswer:
        """Return the answer that choosing an element gives.

        Args:
            choice: The element, its title (the first one's, if several have it), or its index in
                `choices`.

        Raises:
            InvalidRequestError: There is no such choice, or it is a link.
        """
        found = chosen(choice, self.choices)
        if not found:
            raise no_such_choice(len(self.choices), choice, self.elements)
        return self._answer(self.choices[found[0]])

    def _answer(self, element: Element) -> InteractiveAnswer:
        return InteractiveAnswer(element.title)

    def _check(self, where: str = "") -> None:
        check_text(f"{where}title", self.title, least=1)
        check_count(f"{where}elements", self.elements, self._fewest, self._most)
        for index, element in enumerate(self.elements):
            element._check(f"{where}elements[{index}]", self._title_limit)
        super()._check(where)


class PagedMenu(Menu, Pictured):
    """A menu with pictures that may be one page of a longer list.

    Attributes:
        subtitle: More about the question, up to 400 characters.
        list_id: Which list its elements come from.
        reference_id: What the pages of a list have in common.
        pre_index: Where the page before begins in the list, -1 if there is none.
        next_index: Where the page after begins in the list.
    """

    subtitle: str | None = None
    list_id: str | None = None
    reference_id: str | None = None
    pre_index: int | None = None
    next_index: int | None = None

    def show_more(self) -> InteractiveAnswer:
        """Return the answer that asks for the next page.

        Raises:
            InvalidRequestError: The menu does not offer one.
        """
        return self._turn("SHOW_MORE")

    def previous_options(self) -> InteractiveAnswer:
        """Return the answer that asks for the page before.

        Raises:
            InvalidRequestError: The menu does not offer one.
        """
        return self._turn("PREVIOUS_OPTIONS")

    def _turn(self, action: str) -> InteractiveAnswer:
        for element in self.choices:
            if element.action_detail == action:
                return self._answer(element)
        raise InvalidRequestError("choice", f"on offer: no element has the action {action}")

    def _answer(self, element: Element) -> InteractiveAnswer:
        action = element.action_detail
        if action not in _ACTIONS:
            return super()._answer(element)
        page = {"pre_index", "next_index", "list_id", "template_type", "reference_id"}
        told = self.model_dump(by_alias=True, exclude_none=True, include=page)
        return response(action=action, data={"actionName": action} | told)

    def _check(self, where: str = "") -> None:
        check_text(f"{where}subtitle", self.subtitle)
        super()._check(where)


class ListPicker(PagedMenu):
    """A list of 1 to 6 elements, each with an image of its own; see its bases for the fields."""

    template_type: Literal["ListPicker"] = "ListPicker"
    _most = 6


class Panel(PagedMenu):
    """A list of 1 to 10 elements under one image; see its bases for the fields."""

    template_type: Literal["Panel"] = "Panel"
    _most = 10


class QuickReply(Menu):
    """A question with 2 to 5 ready-made answers of 1 to 200 characters; see its bases."""

    template_type: Literal["QuickReply"] = "QuickReply"
    _fewest = 2
    _most = 5
    _title_limit = QUICK_REPLY_LIMIT


class Carousel(KnownTemplate):
    """2 to 5 list pickers or panels side by side.

    Attributes:
        title: What they are about, 1 to 400 characters.
        elements: The list pickers and panels, each with a ``template_identifier`` of its own.
    """

    template_type: Literal["Carousel"] = "Carousel"
    title: str
    elements: tuple[ListPicker | Panel, ...] = ()

    _lists = {"elements": lambda raw: _panel(raw)}  # noqa: RUF012 - a ClassVar, as declared above

    @property
    def choices(self) -> tuple[Element, ...]:
        """The elements of all panels that can be chosen, in order."""
        return tuple(element for panel in self.elements for element in panel.choices)

    def choose(self, choice: Choice, *, panel: PanelChoice | None = None) -> InteractiveAnswer:
        """Return the answer that choosing an element of a panel gives.

        It names the panel also for an element with an action, as the vendor's widget does.

        Args:
            choice: The element, its title, or its index in `choices` (in those of ``panel``, if
                that is given).
            panel: Where, needed if several panels have such an element: the list picker or
                panel, its ``template_identifier``, its title, or its index.

        Raises:
            InvalidRequestError: There is no such choice or panel, several panels have it, or it
                is a link.
        """
        panels = self.elements if panel is None else self._panels(panel)
        offered = [(place, element) for place in panels for element in place.choices]
        found = [offered[at] for at in chosen(choice, [element for _, element in offered])]
        if not found:
            elements = [element for place in panels for element in place.elements]
            raise no_such_choice(len(offered), choice, elements)
        place, element = found[0]
        if any(other is not place for other, _ in found):
            raise InvalidRequestError(
                "panel", "given, by template_identifier or index: several panels have the choice"
            )
        return carousel_answer(place.template_identifier, place.title, element.title)

    def _panels(self, panel: PanelChoice) -> Sequence[ListPicker | Panel]:
        panels = self.elements
        if isinstance(panel, int):
            found = [panels[panel]] if 0 <= panel < len(panels) else []
        elif isinstance(panel, str):
            found = [each for each in panels if each.template_identifier == panel]
            found = found or [each for each in panels if each.title == panel]
        else:
            found = [each for each in panels if each == panel]
        if not found:
            raise InvalidRequestError(
                "panel", f"one of the {len(panels)} in .elements, by identifier, title or index"
            )
        return found

    def _check(self, where: str = "") -> None:
        check_text(f"{where}title", self.title, least=1)
        check_count(f"{where}elements", self.elements, 2, 5)
        for index, panel in enumerate(self.elements):
            if not panel.template_identifier:
                raise InvalidContentError(
                    f"{where}elements[{index}].template_identifier", "given in a carousel"
                )
            panel._check(f"{where}elements[{index}].")
        super()._check(where)

    def _spelled(self) -> dict[str, Any]:
        message = super()._spelled()
        message["data"]["content"]["elements"] = [panel._spelled() for panel in self.elements]
        return message


PanelChoice = ListPicker | Panel | str | int
"""What a panel of a carousel is named by."""


def _panel(raw: object) -> ListPicker | Panel | None:
    name = raw.get("templateType") if isinstance(raw, dict) else None
    if name == "ListPicker":
        return ListPicker.parse(raw)
    return Panel.parse(raw) if name == "Panel" else None
