"""Interactive messages: reading templates, answering them, building them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat import (
    INTERACTIVE_CONTENT_TYPE,
    INTERACTIVE_RESPONSE_CONTENT_TYPE,
    AuthenticationInitiated,
    Carousel,
    CarouselSelection,
    ChatSession,
    Element,
    InteractiveAnswer,
    InteractiveMessage,
    InteractiveResponse,
    InvalidContentError,
    InvalidRequestError,
    ListPicker,
    Location,
    Panel,
    QuickReply,
    ReplyMessage,
    ResourceNotFoundException,
    TimePicker,
    TimeSlot,
    UnknownTemplate,
    ViewResource,
    parse_item,
    parse_template,
)
from connect_chat.emulator import Emulator

_ITEMS = {
    sample["name"]: json.loads(sample["frame"]["content"])
    for sample in map(
        json.loads,
        (Path(__file__).parent / "samples" / "frames.jsonl").read_text("utf-8").splitlines(),
    )
    if sample["frame"].get("topic") == "aws/chat"
}
_APPLE, _PEAR = Element(title="Apple"), Element(title="Pear")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def sample(name: str) -> InteractiveMessage:
    item = parse_item(_ITEMS[f"interactive: {name}"])
    assert isinstance(item, InteractiveMessage)
    return item


def message(content: object) -> InteractiveMessage:
    """Return a received message, of an object or of a text that is none."""
    text = content if isinstance(content, str) else json.dumps(content)
    raw = {"Type": "MESSAGE", "ContentType": INTERACTIVE_CONTENT_TYPE, "Content": text}
    item = parse_item(raw)
    assert isinstance(item, InteractiveMessage)
    return item


def carousel(**titles: str) -> InteractiveMessage:
    """Return a carousel of list pickers, by their identifiers, that all offer the same."""
    pickers = tuple(
        ListPicker(template_identifier=name, title=title, elements=(_APPLE, _PEAR))
        for name, title in titles.items()
    )
    return message(Carousel(title="Shops", elements=pickers).to_content())


# Reading


def test_a_list_picker_is_read():
    """With its elements, its place in a longer list, and what is shown once chosen."""
    assert sample("list picker").template == ListPicker(
        title="What produce would you like to buy?",
        subtitle="Tap to select option",
        image_type="URL",
        image_data="https://example.com/fruit.jpg",
        image_description="Select a produce to buy",
        elements=(
            Element(
                title="Apple",
                subtitle="$1.00",
                image_type="URL",
                image_data="https://example.com/apple.jpg",
            ),
            Element(title="Orange", subtitle="$1.50"),
            Element(title="Show more", action_detail="SHOW_MORE"),
        ),
        list_id="serviceList",
        reference_id="320435df-2e3c-47ea-9206-e64f81dd8e3c",
        pre_index=-1,
        next_index=5,
        reply_message=ReplyMessage(title="Thanks for selecting!", subtitle="Produce selected"),
    )


def test_a_time_picker_is_read():
    """With its place, and times as the service wrote them and as datetimes."""
    template = sample("time picker").template
    assert template == TimePicker(
        title="Schedule appointment",
        subtitle="Tap to select option",
        timeslots=(
            TimeSlot(date="2020-10-31T17:00+00:00", duration=60),
            TimeSlot(date="2020-11-15T16:00+00:00", duration=60),
        ),
        time_zone_offset=-450,
        location=Location(latitude=47.616299, longitude=-122.4311, title="Oscar", radius=1),
        reply_message=ReplyMessage(title="Thanks for selecting", subtitle="Appointment selected"),
    )
    assert template.timeslots[0].start == datetime(2020, 10, 31, 17, tzinfo=UTC)


def test_a_carousel_is_read():
    """Its panels are templates of their own."""
    assert sample("carousel").template == Carousel(
        title="View our popular destinations",
        elements=(
            ListPicker(
                template_identifier="8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac",
                title="California",
                subtitle="Tap to select",
                elements=(
                    Element(title="Book flights"),
                    Element(
                        title="Learn more",
                        type="hyperlink",
                        url="https://example.com/california",
                    ),
                ),
            ),
            Panel(
                template_identifier="2c0a55c8-3c37-41c2-b22a-62b2aaa7f1ac",
                title="New York",
                elements=(Element(title="Book hotels"),),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("panel", Panel), ("quick reply", QuickReply), ("view", ViewResource)]
)
def test_the_other_templates_are_read(name, kind):
    """Building them again gives what was received."""
    template = sample(name).template
    assert type(template) is kind
    assert json.loads(template.to_content()) == json.loads(sample(name).content)


def test_an_unknown_template_stays_readable():
    """As plain JSON, by its name."""
    unknown = sample("a template nobody knows yet")
    assert isinstance(unknown.template, UnknownTemplate)
    assert unknown.template.template_type == "HologramPicker"
    assert unknown.template.raw["data"]["content"] == {"title": "?"}
    assert unknown.choices == ()
    assert unknown.view_token is None


@pytest.mark.parametrize("content", ["", "no JSON", "\ud800", "[]", '"ListPicker"', "{" * 10_000])
def test_a_content_that_is_no_object_has_no_template(content):
    """And costs nothing else."""
    assert message(content).template is None
    assert message(content).choices == ()


def test_what_is_malformed_costs_only_itself():
    """Fields count as missing, elements and panels are left out, unknown fields are in raw."""
    good = {"title": "Good", "badge": "new"}
    picker = {
        "templateType": "ListPicker",
        "templateIdentifier": 7,
        "data": {
            "content": {
                "title": ["no text"],
                "subtitle": "Here",
                "colour": "red",
                "preIndex": "first",
                "elements": [good, "Bad", {"title": None}, {"title": "Dear", "subtitle": 5}],
            },
            "replyMessage": {"subtitle": "without a title"},
        },
    }
    template = message(picker).template
    assert template == ListPicker(
        title="", subtitle="Here", elements=(Element(title="Good"), Element(title="Dear"))
    )
    assert template.raw["data"]["content"]["colour"] == "red"
    assert template.elements[0].raw == good
    inside = [picker, {"templateType": "TimePicker"}, {"templateType": []}, "Bad", None]
    carousel = {"templateType": "Carousel", "data": {"content": {"elements": inside}}}
    assert message(carousel).template == Carousel(title="", elements=(template,))


@pytest.mark.parametrize(
    "name", ["ListPicker", "TimePicker", "Panel", "QuickReply", "Carousel", "ViewResource", "New"]
)
@given(content=_JSON, data=_JSON, elements=_JSON)
def test_nothing_that_is_received_raises(name, content, data, elements):
    """Whatever stands where."""
    for inner in (content, {"elements": elements, "timeslots": elements, "title": content}):
        for wrapped in ({"content": inner, "replyMessage": data}, data):
            raw = {"templateType": name, "version": content, "data": wrapped}
            assert parse_template(json.dumps(raw)).raw == raw


@pytest.mark.parametrize("kind", [Element, ListPicker, Carousel])
def test_what_is_no_object_is_no_part(kind):
    """Parts are read by themselves, too."""
    assert kind.parse(["title"]) is None


def test_choices_are_listed():
    """The appointments of a time picker, the elements of all of a carousel's panels."""
    assert sample("time picker").choices == sample("time picker").template.timeslots
    titles = [element.title for element in sample("carousel").choices]
    assert titles == ["Book flights", "Book hotels"]


def test_a_repr_shows_nothing_of_what_was_said():
    """Nor the token of a view."""
    for name in ("list picker", "carousel", "time picker", "view"):
        template = sample(name).template
        assert repr(template) == f"{type(template).__name__}()"
    assert repr(InteractiveAnswer("secret")) == "InteractiveAnswer(content_type='text/plain')"


# Answering


@pytest.mark.parametrize("choice", ["Apple", 0, _APPLE])
def test_an_element_is_answered_with_its_title(choice):
    """Whether it is named by its title, its index or itself."""
    received = message(ListPicker(title="Fruit?", elements=(_APPLE, _PEAR)).to_content())
    assert received.choices == (_APPLE, _PEAR)
    assert received.choose(choice) == InteractiveAnswer("Apple", "text/plain")


@pytest.mark.parametrize(
    "choice",
    [
        "2020-11-15T16:00+00:00",
        1,
        datetime.fromisoformat("2020-11-15T17:00+01:00"),
        TimeSlot(date="2020-11-15T16:00+00:00", duration=60),
    ],
)
def test_a_time_slot_is_answered_with_its_date(choice):
    """To the letter, also if it is named by the same time somewhere else."""
    answer = sample("time picker").choose(choice)
    assert answer == InteractiveAnswer("2020-11-15T16:00+00:00", "text/plain")


def test_a_carousel_is_answered_with_its_panel():
    """As JSON in plain text, which is read back."""
    answer = sample("carousel").choose("Book flights")
    assert answer.content_type == "text/plain"
    assert json.loads(answer.content) == {
        "templateIdentifier": "8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac",
        "listTitle": "California",
        "selectionText": "Book flights",
    }
    assert CarouselSelection.of(answer.content) == CarouselSelection(
        template_identifier="8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac",
        list_title="California",
        selection_text="Book flights",
    )


@pytest.mark.parametrize("text", ["Apple", '{"listTitle": "a"}', "[]", "", "7"])
def test_another_text_is_no_carousel_selection(text):
    """What customers type is not mistaken for one."""
    assert CarouselSelection.of(text) is None


def test_a_carousel_whose_panels_offer_the_same_needs_to_know_which():
    """By identifier, by title, by index or itself; an element that was picked out says it."""
    received = carousel(north="Market", south="Mall")
    with pytest.raises(InvalidRequestError, match="panel must be given"):
        received.choose("Pear")
    north, south = received.template.elements
    for panel in ("south", "Mall", 1, south):
        answer = received.choose("Pear", panel=panel)
        assert json.loads(answer.content)["templateIdentifier"] == "south"
    for choice, name in [(0, "north"), (3, "south"), (south.elements[1], "south")]:
        assert json.loads(received.choose(choice).content)["templateIdentifier"] == name
    assert json.loads(received.choose(1, panel=north).content)["selectionText"] == "Pear"


def test_a_panel_without_an_identifier_is_answered_without():
    """It is malformed, but what it offers can still be chosen."""
    picker = {"templateType": "Panel", "data": {"content": {"elements": [{"title": "Apple"}]}}}
    content = {"templateType": "Carousel", "data": {"content": {"elements": [picker]}}}
    answer = message(content).choose("Apple")
    assert json.loads(answer.content) == {"listTitle": "", "selectionText": "Apple"}


def test_panels_of_one_title_are_told_apart_by_identifier():
    """The title alone is not enough, but it may be enough with the choice."""
    received = carousel(one="Shop", two="Shop")
    with pytest.raises(InvalidRequestError, match="panel must be given"):
        received.choose("Apple", panel="Shop")
    answer = received.choose("Apple", panel="two")
    assert json.loads(answer.content)["templateIdentifier"] == "two"


def test_the_pages_of_a_list_are_turned():
    """With the sample's own answer, by its action or by the element's title."""
    received = sample("list picker")
    expected = json.loads(_ITEMS["interactive answer: show more"]["Content"])
    for answer in (received.show_more(), received.choose("Show more")):
        assert answer.content_type == INTERACTIVE_RESPONSE_CONTENT_TYPE
        assert json.loads(answer.content) == expected
    with pytest.raises(InvalidRequestError, match="no element has the action PREVIOUS_OPTIONS"):
        received.previous_options()


def test_the_page_before_is_asked_for():
    """What the menu does not say of its place is left out."""
    back = Element(title="Back", action_detail="PREVIOUS_OPTIONS")
    panel = Panel(title="More", elements=(_APPLE, back), list_id="fruits", pre_index=4)
    assert json.loads(message(panel.to_content()).previous_options().content) == {
        "version": "1.0",
        "action": "PREVIOUS_OPTIONS",
        "data": {
            "actionName": "PREVIOUS_OPTIONS",
            "preIndex": 4,
            "listId": "fruits",
            "templateType": "Panel",
        },
    }


def test_a_view_is_answered_with_an_action():
    """And what was filled in."""
    received = sample("view")
    assert received.view_token == "AQICAHh-view-token"
    answer = received.respond("Submit", {"name": "Ana"})
    assert answer.content_type == INTERACTIVE_RESPONSE_CONTENT_TYPE
    assert json.loads(answer.content) == {
        "action": "Submit",
        "data": {"name": "Ana"},
        "templateType": "ViewResource",
        "version": "1.0",
    }


def _refused(call: Any, *arguments: object, **named: object) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_what_is_not_offered_is_refused_without_quoting_what_is():
    """The error says how many choices there are and where they are listed."""
    picker = sample("list picker")
    expected = "choice must be one of the 3 that the message offers, which .choices lists"
    assert _refused(picker.choose, "Durian") == expected
    assert _refused(picker.choose, Element(title="Durian")) == expected
    assert _refused(picker.choose, 3) == "choice must be an index below 3; got 3"
    assert _refused(picker.choose, -1) == "choice must be an index below 3; got -1"
    assert "one of the 2" in _refused(sample("time picker").choose, datetime.now(UTC))
    assert "aware" in _refused(sample("time picker").choose, datetime(2020, 10, 31, 17))
    assert "panel must be one of the 2" in _refused(sample("carousel").choose, 0, panel="Texas")
    assert "panel must be one of the 2" in _refused(sample("carousel").choose, 0, panel=2)
    assert "one of the 2" in _refused(sample("carousel").choose, "Book hotels and flights")
    assert "one of the 1" in _refused(sample("carousel").choose, "Book hotels", panel="California")


def test_a_hyperlink_cannot_be_chosen():
    """It is opened, and sends nothing."""
    link = Element(title="Shop", type="hyperlink", url="https://example.com")
    received = message(ListPicker(title="Fruit?", elements=(link, _APPLE)).to_content())
    assert received.choices == (_APPLE,)
    assert received.choose(0).content == "Apple"
    assert "a hyperlink is opened at its url" in _refused(received.choose, "Shop")
    assert "a hyperlink is opened at its url" in _refused(sample("carousel").choose, "Learn more")


def test_what_does_not_fit_the_template_is_refused():
    """Each with what it would take."""
    unknown, panel = sample("a template nobody knows yet"), sample("panel")
    assert "one that offers a choice" in _refused(unknown.choose, "x")
    assert "one that offers a choice" in _refused(message("no JSON").choose, 0)
    assert "a view" in _refused(panel.respond, "Submit")
    assert "a list picker or a panel" in _refused(sample("time picker").show_more)
    assert "panel must be left out" in _refused(panel.choose, "End chat", panel="x")


def test_an_interactive_response_is_read():
    """Its action and its data; both survive a content that is something else."""
    response = parse_item(_ITEMS["interactive answer: show more"])
    assert isinstance(response, InteractiveResponse)
    assert response.action == "SHOW_MORE"
    assert response.data["listId"] == "serviceList"
    for content in (None, "no JSON", '{"action": 1, "data": []}'):
        other = parse_item({**_ITEMS["interactive answer: show more"], "Content": content})
        assert (other.action, other.data) == (None, {})


# Building


def _menu(kind: type[Any] = ListPicker, **fields: Any) -> Any:
    return kind(**{"title": "Fruit?", "elements": (_APPLE, _PEAR), **fields})


def _carousel(*panels: Any) -> Carousel:
    return Carousel(title="Shops", elements=panels)


_LONG = "x" * 401


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (_menu(title=""), "title must be 1 to 400 characters; got 0"),
        (_menu(title=_LONG), "title must be 1 to 400 characters; got 401"),
        (_menu(subtitle=_LONG), "subtitle must be 0 to 400 characters; got 401"),
        (_menu(elements=()), "elements must be 1 to 6 in number; got 0"),
        (_menu(elements=(_APPLE,) * 7), "elements must be 1 to 6 in number; got 7"),
        (_menu(Panel, elements=(_APPLE,) * 11), "elements must be 1 to 10 in number; got 11"),
        (_menu(QuickReply, elements=(_APPLE,)), "elements must be 2 to 5 in number; got 1"),
        (
            _menu(QuickReply, elements=(_APPLE, Element(title="x" * 201))),
            "elements[1].title must be 1 to 200 characters; got 201",
        ),
        (
            _menu(elements=(_APPLE, Element(title="x", subtitle=_LONG))),
            "elements[1].subtitle must be 0 to 400 characters; got 401",
        ),
        (
            _menu(elements=(Element(title="x", type="hyperlink"),)),
            "elements[0].url must be given for a hyperlink",
        ),
        (
            _menu(reply_message=ReplyMessage(title="")),
            "reply_message.title must be 1 to 400 characters; got 0",
        ),
        (TimePicker(title="When?"), "timeslots must be 1 or more; got 0"),
        (
            TimePicker(title="When?", timeslots=(TimeSlot(date="tomorrow"),)),
            "timeslots[0].date must be ISO 8601 with an offset from UTC",
        ),
        (
            TimePicker(title="When?", timeslots=(TimeSlot(date="2026-01-01T10:00"),)),
            "timeslots[0].date must be ISO 8601 with an offset from UTC",
        ),
        (_carousel(_menu(template_identifier="a")), "elements must be 2 to 5 in number; got 1"),
        (
            _carousel(_menu(template_identifier="a"), _menu()),
            "elements[1].template_identifier must be given in a carousel",
        ),
        (
            _carousel(
                _menu(template_identifier="a"),
                _menu(Panel, template_identifier="b", elements=(Element(title=""),)),
            ),
            "elements[1].elements[0].title must be 1 to 400 characters; got 0",
        ),
    ],
)
def test_building_keeps_to_the_limits(template, error):
    """The error names the field, its limit and its size."""
    with pytest.raises(InvalidContentError) as caught:
        template.to_content()
    assert str(caught.value) == error


def test_the_whole_is_limited_in_bytes():
    """Of UTF-8, not characters: here each takes 3, and no single field is too long."""
    elements = tuple(Element(title="€" * 400, subtitle="€" * 400) for _ in range(10))
    with pytest.raises(InvalidContentError, match="content must be less than 20,000 bytes"):
        Panel(title="Too much", elements=elements).to_content()


def test_what_is_at_its_limit_is_built():
    """And read back as it was."""
    full = "x" * 400
    elements = (Element(title=full, subtitle=full),) * 6
    picker = ListPicker(title=full, subtitle=full, elements=elements)
    assert message(picker.to_content()).template == picker


def test_time_slots_are_built_from_datetimes():
    """To the minute, with their offset."""
    assert TimeSlot.at(datetime(2026, 3, 1, 9, 30, tzinfo=UTC), 1800) == TimeSlot(
        date="2026-03-01T09:30+00:00", duration=1800
    )
    with pytest.raises(InvalidRequestError, match="aware"):
        TimeSlot.at(datetime(2026, 3, 1))


@pytest.mark.parametrize("fields", [{}, {"title": "Fruit?", "sutbitle": "?"}, {"title": None}])
def test_a_template_made_by_hand_is_exact(fields):
    """A field that is missing, misspelled or of another type raises, unlike one received."""
    with pytest.raises(ValueError, match="ListPicker"):
        ListPicker(**fields)


# In a chat


async def test_answers_go_out_as_they_are():
    """Through ``reply``; those who listen read them back typed."""
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        await emulator.say(
            started.contact_id,
            sample("list picker").content,
            content_type=INTERACTIVE_CONTENT_TYPE,
        )
        async with ChatSession(
            started.participant_token, endpoint_url=emulator.url, own=True
        ) as chat:
            received = await chat.wait_for(InteractiveMessage, 5)
            sent = await chat.reply(received.choose("Apple"), client_token="once")
            assert sent.client_token == "once"
            await chat.reply(received.show_more())
            answer = await chat.wait_for(lambda item: item.id == sent.id, 5)
            assert (answer.content_type, answer.text) == ("text/plain", "Apple")
            assert (await chat.wait_for(InteractiveResponse, 5)).action == "SHOW_MORE"


async def test_a_view_is_described():
    """By its message or by its token; a message that is no view is refused here."""
    async with Emulator() as emulator:
        token = emulator.add_view(name="Form", content={"Actions": ["Submit"]})
        started = await emulator.start_chat()
        async with ChatSession(started.participant_token, endpoint_url=emulator.url) as chat:
            view = message(ViewResource(view_id="form", view_token=token).to_content())
            for named in (view, token):
                described = await chat.describe_view(named)
                assert described.view.name == "Form"
                assert described.view.content.actions == ("Submit",)
            with pytest.raises(InvalidRequestError, match="view must be a message"):
                await chat.describe_view(sample("panel"))
            with pytest.raises(ResourceNotFoundException):
                await chat.describe_view("another")


async def test_a_customer_signs_in_or_does_not():
    """By the event or by its session; an event that names none is refused here."""
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        async with ChatSession(started.participant_token, endpoint_url=emulator.url) as chat:
            session_id = emulator.request_authentication(started.contact_id)
            asked = await chat.wait_for(AuthenticationInitiated, 5)
            for named in (asked, session_id):
                answer = await chat.get_authentication_url(
                    named, redirect_uri="https://example.com/back"
                )
                assert answer.authentication_url.startswith("http")
            await chat.cancel_authentication(asked)
            nameless = AuthenticationInitiated(type="EVENT")
            with pytest.raises(InvalidRequestError, match="session_id"):
                await chat.cancel_authentication(nameless)
