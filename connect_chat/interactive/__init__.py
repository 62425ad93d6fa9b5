"""Interactive messages: the templates that a flow sends, and the answers that it expects.

Templates are read from what was received, and every one of them survives what is wrong with it: a
malformed field counts as missing, a malformed element is left out, a template that this version
does not know is an `UnknownTemplate`. The JSON as it came is in ``raw``::

    match message.template:
        case ListPicker(title=title, elements=elements):
            ...
        case UnknownTemplate(template_type=name, raw=raw):
            ...

Answers are made from what was received, with `InteractiveMessage.choose` and its neighbours, and
sent with `ChatSession.reply`; they are what the vendor's own chat widget sends::

    await chat.reply(message.choose("Apple"))

Templates are also built here, for the Lambda function behind a flow, and for tests::

    fruits = (Element(title="Apple"), Element(title="Pear"))
    content = ListPicker(title="Which fruit?", elements=fruits).to_content()

Building is strict: the limits are the Administrator Guide's ("Add interactive messages to chat")
and those at which the vendor's widget cuts off what it shows.
"""

from connect_chat.interactive.answers import (
    INTERACTIVE_RESPONSE_CONTENT_TYPE,
    CarouselSelection,
    Choice,
    InteractiveAnswer,
)
from connect_chat.interactive.menus import Carousel, ListPicker, Panel, PanelChoice, QuickReply
from connect_chat.interactive.parts import Element, Location, ReplyMessage, TimeSlot
from connect_chat.interactive.templates import (
    INTERACTIVE_CONTENT_TYPE,
    Template,
    TimePicker,
    UnknownTemplate,
    ViewResource,
    parse_template,
)

__all__ = [
    "INTERACTIVE_CONTENT_TYPE",
    "INTERACTIVE_RESPONSE_CONTENT_TYPE",
    "Carousel",
    "CarouselSelection",
    "Choice",
    "Element",
    "InteractiveAnswer",
    "ListPicker",
    "Location",
    "Panel",
    "PanelChoice",
    "QuickReply",
    "ReplyMessage",
    "Template",
    "TimePicker",
    "TimeSlot",
    "UnknownTemplate",
    "ViewResource",
    "parse_template",
]
