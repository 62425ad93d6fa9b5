"""Calls over real sockets on the loopback: what is sent, and every kind of answer to it."""

from __future__ import annotations

import asyncio
import gzip
import json
import platform
import re
import ssl
import sys
from datetime import UTC, datetime

import httpx
import pytest

from connect_chat import (
    AccessDeniedException,
    ConfigurationError,
    ConflictException,
    GetTranscriptResponse,
    InternalServerException,
    Message,
    MissingExtraError,
    ParticipantClient,
    ResourceNotFoundException,
    ServiceError,
    ServiceUnreachableError,
    ThrottlingException,
    ValidationException,
    __version__,
)

from .loopback import LOST, RESET, Loopback, Reply

OK = Reply(body={"Id": "i-1", "AbsoluteTime": "2025-05-24T21:40:01.137Z"})


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    """Let retries go at once."""
    monkeypatch.setattr("random.random", lambda: 0.0)


async def test_what_is_sent(client_over):
    """One POST with the bearer, JSON in UTF-8 and nothing that httpx would add by itself."""
    async with Loopback(OK) as service, client_over(endpoint_url=service.url) as client:
        sent = await client.send_message("the-token", "Grüße", client_token="c")
    (request,) = service.received
    assert (request.method, request.target) == ("POST", "/participant/message")
    assert request.json == {"ContentType": "text/plain", "Content": "Grüße", "ClientToken": "c"}
    assert request.headers == {
        "host": service.url.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": f"connect-chat/{__version__} python/{platform.python_version()}",
        "x-amz-bearer": "the-token",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }
    assert (sent.id, sent.absolute_time) == (
        "i-1",
        datetime(2025, 5, 24, 21, 40, 1, 137000, tzinfo=UTC),
    )


async def test_a_view_is_got_without_a_body(client_over):
    """The token is one path segment, whatever is in it."""
    async with Loopback() as service, client_over(endpoint_url=service.url) as client:
        await client.describe_view("t", "a/b?c!")
    (request,) = service.received
    assert (request.method, request.target) == ("GET", "/participant/views/a%2Fb%3Fc%21")
    assert request.body == b""
    assert "content-type" not in request.headers


async def test_the_path_of_an_endpoint_is_kept(client_over):
    async with (
        Loopback(OK) as service,
        client_over(endpoint_url=service.url + "/stage/") as client,
    ):
        await client.send_message("t", "hi")
    assert service.received[0].target == "/stage/participant/message"


async def test_the_user_agents_suffix(client_over):
    async with (
        Loopback(OK) as service,
        client_over(endpoint_url=service.url, user_agent_suffix="my-bot/1.2") as client,
    ):
        await client.send_message("t", "hi")
    assert service.received[0].headers["user-agent"].endswith(" my-bot/1.2")
    with pytest.raises(ConfigurationError):
        client_over("us-east-1", user_agent_suffix="a\r\nX-Evil: 1")


async def test_metadata_of_an_answer(client_over):
    """The request id, the service's clock and the raw answer are there, beside the shape."""
    reply = Reply(
        body={"Id": "i", "New": {"a": 1}},
        headers={"x-amzn-RequestId": "r-1", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"},
    )
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        sent = await client.send_message("t", "hi")
    assert sent.request_id == "r-1"
    assert sent.service_time == datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
    assert sent.raw["New"] == {"a": 1}
    assert sent == type(sent)(id="i")
    assert sent.model_dump() == {"id": "i", "absolute_time": None, "message_metadata": None}


async def test_the_services_clock_without_a_zone(client_over):
    """``-0000`` is how mail says UTC, and so it is read."""
    reply = Reply(headers={"Date": "Wed, 21 Oct 2015 07:28:00 -0000"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        sent = await client.send_message("t", "hi")
    assert sent.service_time == datetime(2015, 10, 21, 7, 28, tzinfo=UTC)


async def test_an_answer_without_metadata(client_over):
    async with (
        Loopback(Reply(headers={"Date": "yesterday"})) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        sent = await client.send_message("t", "hi")
    assert (sent.request_id, sent.service_time) == (None, None)


async def test_a_compressed_answer(client_over):
    body = gzip.compress(json.dumps({"Transcript": [{"Type": "MESSAGE", "Id": "1"}]}).encode())
    reply = Reply(body=body, headers={"Content-Encoding": "gzip"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        page = await client.get_transcript("t")
    assert [item.id for item in page.transcript] == ["1"]


async def test_what_is_no_item_costs_only_itself(client_over, caplog):
    """A page with rubbish in it is delivered without, and that is logged, not what it was."""
    entries = [{"Type": "MESSAGE", "Id": "1"}, {"Content": "secret"}, "secret", {"Type": "EVENT"}]
    reply = Reply(body={"Transcript": entries, "NextToken": "n"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        page = await client.get_transcript("t")
    assert [item.type for item in page.transcript] == ["MESSAGE", "EVENT"]
    assert page.skipped == 2
    assert page.raw["Transcript"] == entries
    assert "2 entries" in caplog.text
    assert "secret" not in caplog.text


def test_a_page_made_by_hand():
    """Tests of an application can make any answer."""
    item = Message(type="MESSAGE", content="hi")
    page = GetTranscriptResponse(transcript=(item,), next_token="n")
    assert page.transcript == (item,)
    assert (page.skipped, page.raw, page.request_id) == (0, {}, None)
    assert GetTranscriptResponse.model_validate_json(page.model_dump_json()).next_token == "n"


async def test_malformed_fields_cost_only_themselves(client_over):
    """A bad time does not cost the URL beside it, nor a bad member the others."""
    reply = Reply(
        body={
            "Websocket": {"Url": "wss://x", "ConnectionExpiry": "soon"},
            "ConnectionCredentials": {"Expiry": "2025-05-24T21:40:01.137Z"},
        }
    )
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        connection = await client.create_participant_connection("t")
    assert connection.websocket.url == "wss://x"
    assert connection.websocket.connection_expiry is None
    assert connection.connection_credentials is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"x-amzn-ErrorType": "ConflictException"}, {"Message": "no"}),
        ({"x-amzn-ErrorType": "ConflictException:http://internal.amazon.com/"}, {"message": "no"}),
        ({"X-AMZN-ERRORTYPE": "ns.one#ConflictException:http://x#y"}, {"Message": "no"}),
        ({}, {"__type": "ConflictException", "message": "no"}),
        ({}, {"__type": "com.amazonaws.connect#ConflictException", "Message": "no"}),
        ({}, {"code": "ConflictException:", "Message": "no"}),
        ({}, {"Message": "no"}),
    ],
)
async def test_every_spelling_of_an_error(client_over, headers, body):
    """In the header or in the body, with or without a namespace; or else by the status."""
    reply = Reply(409, body, {**headers, "x-amzn-RequestId": "r-1"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        with pytest.raises(ConflictException) as caught:
            await client.send_event(
                "t", "application/vnd.amazonaws.connect.event.typing", client_token="c"
            )
    error = caught.value
    assert (error.code, error.message, error.status_code) == ("ConflictException", "no", 409)
    assert (error.request_id, error.operation) == ("r-1", "SendEvent")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Forbidden</body></html>",
        b'{"Message": "cut o',
        b'{"Message": "\xff\xfe"}',
        b"[1, 2]",
        b'"text"',
        b'{"Message": {"a": 1}, "__type": 7}',
        b"\x00\xff",
    ],
)
async def test_an_error_with_any_body(client_over, body):
    """The status alone tells the type when the body tells nothing."""
    async with (
        Loopback(Reply(403, body)) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(AccessDeniedException) as caught:
            await client.get_transcript("t")
    assert caught.value.message == ""
    assert caught.value.code == "AccessDeniedException"


async def test_an_endless_message_is_cut(client_over):
    """A gateway's page in an error would drown a log."""
    async with (
        Loopback(Reply(400, {"Message": "x" * 100_000})) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(ValidationException) as caught:
            await client.get_transcript("t")
    assert len(caught.value.message) == 2000


async def test_an_unknown_error_keeps_its_code(client_over):
    reply = Reply(403, {"message": "Forbidden"}, {"x-amzn-ErrorType": "ForbiddenException"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        with pytest.raises(ServiceError) as caught:
            await client.get_transcript("t")
    assert type(caught.value) is ServiceError
    assert (caught.value.code, caught.value.status_code) == ("ForbiddenException", 403)


async def test_a_resource_that_is_not_found_is_named(client_over):
    body = {"Message": "no", "ResourceId": "p-1", "ResourceType": "PARTICIPANT"}
    async with (
        Loopback(Reply(404, body)) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(ResourceNotFoundException) as caught:
            await client.describe_view("t", "v")
    assert (caught.value.resource_id, caught.value.resource_type) == ("p-1", "PARTICIPANT")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, None, InternalServerException),
        (502, None, ServiceUnreachableError),
        (503, "ServiceUnavailable", ServiceUnreachableError),
        (504, None, ServiceUnreachableError),
        (503, "ThrottlingException", ThrottlingException),
        (400, "ThrottlingException", ThrottlingException),
        (429, "TooManyRequestsException", ServiceError),
        (508, None, ServiceError),
    ],
)
async def test_passing_troubles_are_repeated(client_over, status, code, kind):
    """Three attempts for throttling and the faults of service and gateways; then the error."""
    reply = Reply(status, b"", {"x-amzn-ErrorType": code} if code else {})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        with pytest.raises(kind) as caught:
            await client.get_transcript("t")
    assert type(caught.value) is kind
    assert len(service.received) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        LOST,
        RESET,
        Reply(status=None, body=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        Reply(status=None, body=b"not HTTP at all\r\n\r\n"),
        Reply(body=b"<html>200</html>"),
        Reply(body=b'{"Id": "1"'),
        Reply(body=b"[]"),
        Reply(body=b"x" * 50, headers={"Content-Encoding": "gzip"}),
    ],
    ids=["lost", "reset", "cut off", "not HTTP", "HTML", "truncated JSON", "no object", "not gzip"],
)
async def test_an_unusable_answer_is_repeated_with_the_same_client_token(client_over, trouble):
    """The message may have been taken: the token makes sure that it is taken once."""
    async with (
        Loopback(trouble, OK) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        assert (await client.send_message("t", "hi")).id == "i-1"
    first, second = service.received
    assert first.json == second.json
    assert first.json["ClientToken"]


@pytest.mark.parametrize("trouble", [LOST, Reply(body=b"[]"), Reply(503)])
async def test_nothing_but_unusable_answers(client_over, trouble):
    async with (
        Loopback(trouble) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(ServiceUnreachableError) as caught:
            await client.send_message("t", "hi")
    assert caught.value.operation == "SendMessage"
    assert len(service.received) == 3


async def test_an_answer_without_what_the_model_requires_is_unusable(client_over):
    """An attachment without a size is asked for again."""
    size = Reply(body={"AttachmentSizeInBytes": 7})
    async with (
        Loopback(Reply(), Reply(body={"AttachmentSizeInBytes": "?"}), size) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        assert (await client.get_attachment("t", "a")).attachment_size_in_bytes == 7


async def test_an_empty_answer_is_an_empty_object(client_over):
    async with (
        Loopback(Reply(body=b"")) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        await client.disconnect_participant("t")
        assert (await client.get_transcript("t")).transcript == ()


async def test_nobody_listens(client_over):
    """The cause is chained, and the error says that no connection was had."""
    async with Loopback() as service:
        url = service.url
    async with client_over(endpoint_url=url) as client:
        with pytest.raises(ServiceUnreachableError, match=r"Connect\w*Error: .*Connect") as caught:
            await client.send_message("t", "hi")
    assert isinstance(caught.value.__cause__, httpx.ConnectError | ConnectionRefusedError)


async def test_a_silent_service_times_out(client_over):
    hold = asyncio.Event()
    async with (
        Loopback(Reply(hold=hold)) as service,
        client_over(endpoint_url=service.url, timeout=0.05, max_attempts=1) as client,
    ):
        with pytest.raises(
            ServiceUnreachableError, match=r"(Read|Socket)Timeout(Error)? after 0\.05 s"
        ):
            await client.send_message("t", "hi")
        hold.set()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("over", [None, "aiohttp", httpx.AsyncClient])
async def test_redirects_are_not_followed(status, over):
    """The bearer goes to the endpoint and nowhere else, whatever client is used."""
    async with Loopback(OK) as elsewhere:
        reply = Reply(status, headers={"Location": elsewhere.url + "/participant/message"})
        http = over(follow_redirects=True) if over is httpx.AsyncClient else over
        async with (
            Loopback(reply) as service,
            ParticipantClient(endpoint_url=service.url, http=http) as client,
        ):
            with pytest.raises(ServiceError, match=f"HTTP {status}"):
                await client.send_message("t", "hi")
        if over is httpx.AsyncClient:
            await http.aclose()
        assert elsewhere.received == []


async def test_cookies_are_not_kept(client_over):
    reply = Reply(headers={"Set-Cookie": "a=b"})
    async with (
        Loopback(reply) as service,
        # Not an address: of those no cookies are kept anyway.
        client_over(endpoint_url=service.url.replace("127.0.0.1", "localhost")) as client,
    ):
        for _ in range(2):
            await client.send_message("t", "hi")
    assert "cookie" not in service.received[1].headers


async def test_the_callers_client_is_used_and_stays_open():
    """Its hooks run; our own user agent, timeouts and bearer are on the request."""
    seen = []

    async def hook(request: httpx.Request) -> None:
        seen.append(request.extensions["timeout"]["read"])

    async with Loopback(OK) as service, httpx.AsyncClient(event_hooks={"request": [hook]}) as http:
        async with ParticipantClient(endpoint_url=service.url, http=http, timeout=3.0) as client:
            await client.send_message("tok", "hi")
        assert seen == [3.0]
        assert not http.is_closed
        assert service.received[0].headers["x-amz-bearer"] == "tok"
        assert service.received[0].headers["user-agent"].startswith("connect-chat/")


async def test_the_callers_transport_is_used_and_stays_open():
    class Transport(httpx.AsyncHTTPTransport):
        closed = False

        async def aclose(self) -> None:
            self.closed = True
            await super().aclose()

    transport = Transport()
    async with Loopback(OK) as service:
        async with ParticipantClient(endpoint_url=service.url, http=transport) as client:
            await client.send_message("t", "hi")
        assert not transport.closed
        await transport.aclose()


async def test_a_cancelled_call_harms_no_other(client_over):
    """Cancelled while the answer is awaited; its connection is not reused for another's answer."""
    hold = asyncio.Event()
    first = Reply(body={"Id": "first"}, hold=hold)
    async with (
        Loopback(first, Reply(body={"Id": "second"})) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        call = asyncio.create_task(client.send_message("t", "hi"))
        await service.arrived.wait()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert (await client.send_message("t", "hi")).id == "second"
        hold.set()


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
async def test_a_proxy_of_the_environment(client_over, proxy_variables, variable):
    """The request goes to the proxy, with its password, and names the endpoint."""
    async with Loopback(OK) as proxy:
        address = proxy.url.removeprefix("http://")
        proxy_variables(**{variable: f"http://user:pass@{address}"})
        async with client_over(endpoint_url="http://chat.example:81") as client:
            await client.send_message("t", "hi")
    (request,) = proxy.received
    assert request.target == "http://chat.example:81/participant/message"
    assert request.headers["host"] == "chat.example:81"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


async def test_a_proxy_without_a_scheme(client_over, proxy_variables):
    async with Loopback(OK) as proxy:
        proxy_variables(http_proxy=proxy.url.removeprefix("http://"))
        async with client_over(endpoint_url="http://chat.example") as client:
            await client.send_message("t", "hi")
    assert len(proxy.received) == 1


async def test_https_goes_through_a_tunnel(client_over, proxy_variables):
    """The proxy sees CONNECT and no bearer; its refusal says that nothing was sent."""
    async with Loopback(Reply(403)) as proxy:
        proxy_variables(https_proxy=proxy.url)
        async with client_over(endpoint_url="https://chat.example") as client:
            with pytest.raises(ServiceUnreachableError, match="ProxyError"):
                await client.send_message("secret-token", "hi")
    request = proxy.received[0]
    assert (request.method, request.target) == ("CONNECT", "chat.example:443")
    assert "secret-token" not in str(proxy.received)


async def test_this_machine_is_not_reached_through_a_proxy(client_over, proxy_variables):
    proxy_variables(http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")
    async with Loopback(OK) as service, client_over(endpoint_url=service.url) as client:
        await client.send_message("t", "hi")
        async with client_over(
            endpoint_url=service.url.replace("127.0.0.1", "localhost")
        ) as by_name:
            await by_name.send_message("t", "hi")
    assert len(service.received) == 2


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy"])
async def test_no_proxy(client_over, proxy_variables, variable):
    """``NO_PROXY``, and a proxy for another scheme, mean directly, even to where nobody is."""
    async with Loopback(OK) as proxy:
        proxy_variables(**{variable: proxy.url})
        if variable == "http_proxy":
            proxy_variables(no_proxy="chat.invalid")
        async with client_over(endpoint_url="http://chat.invalid", max_attempts=1) as client:
            with pytest.raises(ServiceUnreachableError):
                await client.send_message("t", "hi")
    assert proxy.received == []


async def test_a_socks_proxy_that_cannot_be_spoken_to(client_over, monkeypatch, proxy_variables):
    """Neither without httpx's package for it nor by aiohttp; the error says what to do."""
    monkeypatch.setattr("connect_chat.transport.connections.find_spec", lambda name: None)
    proxy_variables(all_proxy="socks5://user:pass@proxy.example")
    async with client_over(endpoint_url="http://chat.example") as client:
        with pytest.raises(ConfigurationError, match=r"httpx\[socks\]|http or https") as caught:
            await client.send_message("t", "hi")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["ftp://user:pass@proxy.example", "http://user:pass@p:x"])
async def test_a_malformed_proxy_is_refused_without_quoting_it(client_over, proxy_variables, proxy):
    proxy_variables(http_proxy=proxy)
    async with client_over(endpoint_url="http://chat.example") as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.send_message("t", "hi")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("http", ["requests", "", 1, httpx])
def test_what_cannot_send_requests_is_refused(http):
    with pytest.raises(ConfigurationError, match='"aiohttp"'):
        ParticipantClient("us-east-1", http=http)


def test_without_its_extra_it_says_which_to_install(monkeypatch):
    """When the client is made, not when it is used."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "connect_chat.transport.aiohttp_exchange", raising=False)
    with pytest.raises(ConfigurationError, match=re.escape('"connect-chat[aiohttp]"')) as caught:
        ParticipantClient("us-east-1", http="aiohttp")
    assert isinstance(caught.value, MissingExtraError)


def test_one_ssl_context(monkeypatch):
    """It is made once, verifies, and is the caller's if they gave one."""
    for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    client = ParticipantClient("us-east-1")
    assert client.ssl_context is client.ssl_context
    assert client.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert client.ssl_context.check_hostname
    own = ssl.create_default_context()
    assert ParticipantClient("us-east-1", ssl_context=own).ssl_context is own


async def test_https_with_an_authority_of_ones_own(client_over, monkeypatch, tmp_path):
    """Trusted by ``AWS_CA_BUNDLE`` or by a context; without them one attempt is enough."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    async with Loopback(OK, tls=server_side) as service:
        url = service.url.replace("127.0.0.1", "localhost")
        async with client_over(endpoint_url=url) as client:
            with pytest.raises(ServiceUnreachableError, match="check ssl_context") as caught:
                await client.send_message("t", "hi")
            assert not caught.value.retryable
            assert client.stats.attempts == {"SendMessage": 1}
        context = ssl.create_default_context(cafile=str(bundle))
        async with client_over(endpoint_url=url, ssl_context=context) as client:
            await client.send_message("t", "hi")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        async with client_over(endpoint_url=url) as client:
            await client.send_message("t", "hi")
    assert len(service.received) == 2


def test_certificates_that_cannot_be_read(monkeypatch, tmp_path):
    """The error names the variables; it comes when TLS is first needed."""
    for content in (None, "no certificate"):
        path = tmp_path / "ca.pem"
        if content:
            path.write_text(content)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
        client = ParticipantClient("us-east-1")
        with pytest.raises(ConfigurationError, match="AWS_CA_BUNDLE"):
            _ = client.ssl_context


async def test_validation_errors_of_the_service_do_not_quote_the_request(client_over):
    """AWS's messages quote the value at fault; what was said is masked in ours."""
    message = "1 validation error detected: Value 'my secret words' at 'content' failed, token tok"
    async with (
        Loopback(Reply(400, {"Message": message})) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        with pytest.raises(ValidationException) as caught:
            await client.send_message("tok", "my secret words")
    assert caught.value.message == (
        "1 validation error detected: Value '[redacted]' at 'content' failed, token [redacted]"
    )
