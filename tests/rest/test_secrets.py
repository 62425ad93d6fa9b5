"""Tokens, URLs and contents stay out of reprs, logs, messages and tracebacks."""

from __future__ import annotations

import logging
import pickle
import traceback

import httpx
import pytest

from connect_chat import ConnectChatError, ParticipantClient, requests

from .loopback import LOST, Loopback, Reply

SENTINEL = "c2VjcmV0LXRva2Vu"

_ANSWERS = {
    "create_participant_connection": {
        "Websocket": {"Url": f"wss://example.com/?t={SENTINEL}"},
        "ConnectionCredentials": {"ConnectionToken": SENTINEL},
        "WebRTCConnection": {
            "Attendee": {"AttendeeId": "a", "JoinToken": SENTINEL},
            "Meeting": {
                "MediaPlacement": dict.fromkeys(
                    ("AudioHostUrl", "AudioFallbackUrl", "SignalingUrl", "EventIngestionUrl"),
                    SENTINEL,
                )
            },
        },
    },
    "send_message": {"New": SENTINEL},
    "get_transcript": {
        "Transcript": [{"Type": "MESSAGE", "Content": SENTINEL, "DisplayName": SENTINEL}],
        "NextToken": SENTINEL,
    },
    "start_attachment_upload": {
        "UploadMetadata": {"Url": SENTINEL, "HeadersToInclude": {"x": SENTINEL}}
    },
    "get_attachment": {"Url": SENTINEL, "AttachmentSizeInBytes": 1},
    "describe_view": {
        "View": {
            "Name": SENTINEL,
            "Content": {"InputSchema": SENTINEL, "Template": SENTINEL, "Actions": [SENTINEL]},
        }
    },
    "get_authentication_url": {"AuthenticationUrl": SENTINEL},
}
_ARGUMENTS = {
    "create_participant_connection": (),
    "send_message": (SENTINEL,),
    "get_transcript": (),
    "get_attachment": ("a",),
    "describe_view": (SENTINEL,),
}
_KEYWORDS = {
    "start_attachment_upload": {
        "attachment_name": SENTINEL,
        "attachment_size_in_bytes": 1,
        "content_type": "text/csv",
    },
    "get_authentication_url": {"session_id": "s" * 36, "redirect_uri": f"http://x/{SENTINEL}"},
    "get_transcript": {"next_token": SENTINEL},
}


def call(client, name):
    method = getattr(client, name)
    return method(SENTINEL, *_ARGUMENTS.get(name, ()), **_KEYWORDS.get(name, {}))


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
def everything_logged(caplog):
    """Capture what anybody logs, httpx and its parts included, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("name", _ANSWERS)
async def test_results_and_logs(client_over, name, everything_logged):
    """The secret is in the result, and in nothing that one prints."""
    async with (
        Loopback(Reply(body=_ANSWERS[name])) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        result = await call(client, name)
        assert SENTINEL not in f"{result!r}{result!s}{client!r}{client.stats!r}"
        assert SENTINEL in str(result.raw)
    assert SENTINEL not in everything_logged.text


@pytest.mark.parametrize("name", _ANSWERS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {"Message": f"Value '{SENTINEL}' at 'content' failed"}),
        Reply(403, SENTINEL.encode()),
        Reply(500, {"Message": f"token={SENTINEL}&"}, {"x-amzn-ErrorType": f"{SENTINEL}="}),
        Reply(200, SENTINEL.encode()),
        Reply(None, f"{SENTINEL}\r\n\r\n".encode()),
        Reply(None, f"HTTP/1.1 200 OK\r\n{SENTINEL}\r\n\r\n".encode()),
        LOST,
    ],
    ids=["400", "403", "500", "not JSON", "not HTTP", "bad header", "lost"],
)
async def test_errors_and_logs(client_over, name, reply, everything_logged):
    """Nor is it in an error, its whole traceback, its attributes or our logs of its retries.

    httpcore's own DEBUG log quotes an answer that is not HTTP; that is not ours to mend.
    """
    async with (
        Loopback(reply) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(ConnectChatError) as caught:
            await call(client, name)
    error = caught.value
    printed = "".join(traceback.format_exception(error))
    assert SENTINEL not in f"{error!r}{error!s}{printed}{vars(error)}"
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    ours = [record for record in everything_logged.records if "connect_chat" in record.name]
    assert SENTINEL not in "".join(record.getMessage() for record in ours)


async def test_a_transports_own_words():
    """What a caller's transport says is passed on, but for the secrets in it."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot send {request.headers['x-amz-bearer']}")

    async with ParticipantClient(
        endpoint_url="http://x", http=httpx.MockTransport(fail), max_attempts=1
    ) as client:
        with pytest.raises(ConnectChatError, match=r"cannot send \[redacted\]") as caught:
            await call(client, "get_transcript")
    assert SENTINEL not in str(caught.value)


def test_requests():
    """A request's repr says what is asked, not for whom nor with what."""
    request = requests.send_message(
        SENTINEL, SENTINEL, content_type="text/plain", client_token=None
    )
    assert SENTINEL not in repr(request)
    assert "SendMessage" in repr(request)
    assert SENTINEL not in repr(requests.describe_view(SENTINEL, SENTINEL))


def test_refusals():
    """A value that is refused is not quoted."""
    with pytest.raises(ValueError, match="connection_token") as caught:
        requests.describe_view(f"{SENTINEL}\n", "v")
    assert SENTINEL not in "".join(traceback.format_exception(caught.value))
