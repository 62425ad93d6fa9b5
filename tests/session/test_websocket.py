"""One websocket, in the clear and over TLS, with a server that does whatever servers do."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from contextlib import asynccontextmanager
from importlib.util import find_spec

import pytest
import trustme
from websockets.frames import Frame, Opcode

from connect_chat import ConfigurationError
from connect_chat.testing import run_in_virtual_time
from connect_chat.transport.proxies import is_direct, websocket_proxy
from connect_chat.transport.websocket import OpenFailed, open_socket

from .peer import serving
from .support import PATIENCE, trusting

SECRET = "squeamish-ossifrage"


class Heard:
    """What a socket hands over."""

    def __init__(self):
        self.texts = []
        self.closes = []
        self._changed = asyncio.Event()

    def take(self, texts):
        self.texts += (text.decode(errors="replace") for text in texts)
        self._changed.set()

    def close(self, code):
        self.closes.append(code)
        self._changed.set()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


class Way:
    """How servers are reached: in the clear, or encrypted, if there is a CA."""

    def __init__(self, ca):
        self._ca = ca

    @property
    def served(self):
        if self._ca is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1", "chat.example").configure_cert(context)
        return context

    def url(self, port, host="127.0.0.1"):
        return f"{'ws' if self._ca is None else 'wss'}://{host}:{port}/gateway?ticket={SECRET}"

    async def open(self, url, **changes):
        """Open a websocket."""
        trust = trusting(self._ca)
        options = {"ssl_context": lambda: trust, "timeout": PATIENCE, "user_agent": "test/1"}
        return await open_socket(url, **(options | changes))

    @asynccontextmanager
    async def opened(self, talk):
        """Open a websocket to a server of ours; cut it at the end, if it is still there."""
        async with serving(talk, self.served) as port:
            socket = await self.open(self.url(port))
            try:
                yield socket
            finally:
                socket.abort()
                await socket.lost


@pytest.fixture(params=["ws", "wss"])
def way(request, ca):
    return Way(ca if request.param == "wss" else None)


def frame(text, opcode=Opcode.TEXT, *, fin=True):
    data = text.encode() if isinstance(text, str) else text
    return Frame(opcode, data, fin).serialize(mask=False)


CLOSE = frame(b"\x03\xe9bye", Opcode.CLOSE)  # 1001


# Opening.


async def test_the_handshake(way):
    """The URL is asked for as it is, of the host that it names, by whom we say we are."""
    requests = []

    async def talk(peer):
        await peer.accept()
        requests.append(peer.request)
        await peer.closed()

    async with way.opened(talk):
        (request,) = requests
        assert request.path == f"/gateway?ticket={SECRET}"
        assert request.headers["Host"].startswith("127.0.0.1:")
        assert request.headers["User-Agent"] == "test/1"
        assert "Sec-WebSocket-Extensions" not in request.headers


async def test_frames_that_come_with_the_answer(way):
    """They are handed over as soon as there is somebody to take them, and what follows, too."""

    async def talk(peer):
        await peer.accept(frame("one"), frame("two"), frame("three")[:3])
        await go.wait()
        peer.send(frame("three")[3:])
        await peer.closed()

    heard, go = Heard(), asyncio.Event()
    async with way.opened(talk) as socket:
        socket.attach(heard.take, heard.close)
        assert heard.texts == ["one", "two"]
        go.set()
        await heard.until(lambda heard: len(heard.texts) == 3)
        assert heard.texts[2] == "three"


async def test_an_answer_cut_anywhere(way):
    """Where one segment ends and the next begins means nothing."""

    async def talk(peer):
        for byte in await peer.answer() + frame("one") + frame("x" * 200):
            peer.send(bytes([byte]))
            await asyncio.sleep(0)
        await peer.closed()

    heard = Heard()
    async with way.opened(talk) as socket:
        socket.attach(heard.take, heard.close)
        await heard.until(lambda heard: len(heard.texts) == 2)
        assert heard.texts == ["one", "x" * 200]


@pytest.mark.parametrize(
    ("end", "code"),
    [(CLOSE, 1001), (b"", None)],
    ids=["close", "EOF"],
)
async def test_an_end_that_comes_with_the_answer(way, end, code):
    """What was said before it is handed over, then the end, once."""

    async def talk(peer):
        await peer.accept(frame("one"), end)
        peer.writer.write_eof()
        await peer.closed()

    heard = Heard()
    async with way.opened(talk) as socket:
        for _ in range(20):
            await asyncio.sleep(0)
        socket.attach(heard.take, heard.close)
        await heard.until(lambda heard: heard.closes)
        assert heard.texts == ["one"]
        await socket.lost
        assert heard.closes == [code]


@pytest.mark.parametrize(
    ("answer", "reason", "spent"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "the service answered HTTP 403", True),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n", "the service answered HTTP 503", False),
        (b"HTTP/1.1 101 Yes\r\n\r\n", "the handshake failed: InvalidUpgrade", True),
        (b"220 smtp.example\r\n", "the handshake failed: InvalidMessage", True),
        (b"", "the handshake failed: InvalidMessage", True),
    ],
)
async def test_an_answer_that_opens_nothing(way, answer, reason, spent):
    """The error says what it was, without the URL, and the connection is closed."""

    async def talk(peer):
        await peer.answer()
        peer.send(answer)
        peer.writer.write_eof()
        await peer.closed()

    async with serving(talk, way.served) as port:
        with pytest.raises(OpenFailed) as caught:
            await way.open(way.url(port))
        assert caught.value.reason == str(caught.value) == reason
        assert caught.value.spent is spent


async def test_a_redirection_is_followed(way):
    """With TLS where there was TLS."""

    async def talk(peer):
        if peer.request is None and not paths:
            await peer.answer()
            paths.append(peer.request.path)
            peer.send(b"HTTP/1.1 307 Elsewhere\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
        else:
            await peer.accept()
            paths.append(peer.request.path)
        await peer.closed()

    paths = []
    async with way.opened(talk):
        assert paths == [f"/gateway?ticket={SECRET}", "/there"]


async def test_where_nobody_listens(way):
    """The error is what the system says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OpenFailed, match=r"127\.0\.0\.1|refused") as caught:
        await way.open(way.url(port))
    assert not caught.value.spent


@pytest.mark.parametrize("url", ["http://x.example/", "nonsense", "wss://[", "ws://x:99999999/"])
async def test_what_is_no_url_of_a_websocket(url):
    """It is not tried again."""
    with pytest.raises(OpenFailed, match="the URL is not a websocket's") as caught:
        await Way(None).open(url)
    assert caught.value.spent


async def test_tls_settings_that_are_no_good(ca):
    """That is not said of the URL."""

    def settings():
        raise ConfigurationError("no such file")

    with pytest.raises(ConfigurationError):
        await Way(ca).open(Way(ca).url(1), ssl_context=settings)


@pytest.mark.parametrize("step", ["TLS", "HTTP"])
def test_a_server_that_says_nothing(ca, step):
    """It is given up after the timeout, and the connection is closed."""

    async def talk(peer):
        if step == "HTTP":
            await peer.answer()
            peer.send(b"")
        await peer.closed()

    async def main():
        way = Way(ca)
        async with serving(talk, way.served) as port:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(OpenFailed, match="no answer in 7 s") as caught:
                await way.open(way.url(port), timeout=7)
            assert not caught.value.spent
            assert asyncio.get_running_loop().time() - begun == pytest.approx(7, abs=0.01)

    run_in_virtual_time(main())


@pytest.mark.parametrize("step", ["TLS", "HTTP"])
async def test_an_opening_that_is_cancelled(ca, step):
    """Its connection is closed, its task ends."""

    async def talk(peer):
        if step == "HTTP":
            await peer.answer()
            peer.send(b"")
        else:
            await peer.reader.read(1)
        reached.set()
        await peer.closed()

    reached = asyncio.Event()
    way = Way(ca)
    async with serving(talk, way.served) as port:
        opening = asyncio.create_task(way.open(way.url(port)))
        await reached.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_a_certificate_that_is_not_trusted(ca):
    """The error says so, and where to look; the URL has not been used."""

    async def talk(peer):
        with pytest.raises(ssl.SSLError):
            await peer.accept()
        await peer.closed()

    way = Way(ca)
    async with serving(talk, way.served) as port:
        stranger = trusting(trustme.CA())
        with pytest.raises(
            OpenFailed, match=r"certificate is not trusted: .*AWS_CA_BUNDLE"
        ) as caught:
            await way.open(way.url(port), ssl_context=lambda: stranger)
    assert not caught.value.spent


async def test_a_server_that_does_not_speak_tls(ca):
    """Nothing is said to it in the clear."""
    heard = []

    async def talk(peer):
        heard.append(await peer.reader.read(65536))
        peer.writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
        await peer.closed()

    async with serving(talk) as port:
        with pytest.raises(OpenFailed, match="WRONG_VERSION_NUMBER"):
            await Way(ca).open(Way(ca).url(port))
    assert SECRET.encode() not in heard[0]


# Through a proxy.


class HttpProxy:
    """A proxy that leads every name to this machine.

    Attributes:
        asked: Where to.
    """

    def __init__(self):
        self.asked = []

    async def __call__(self, peer):
        head = await peer.reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split()[1].decode())
        port = int(self.asked[-1].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(peer.reader, writer))
            group.create_task(self._carry(reader, peer.writer))

    async def _carry(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "SOCKS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [("HTTPS_PROXY", "http://"), ("ALL_PROXY", "http://"), ("ALL_PROXY", "")],
)
@pytest.mark.usefixtures("no_proxies")
async def test_through_a_proxy(way, monkeypatch, variable, scheme):
    """The proxy leads to the server, and TLS is with the server."""

    async def talk(peer):
        await peer.accept(frame("one"))
        await go.wait()
        assert (await peer.frame()).data == b"two"
        peer.send(frame("three"))
        assert (await peer.frame()).opcode is Opcode.CLOSE

    proxy, heard, go = HttpProxy(), Heard(), asyncio.Event()
    async with serving(proxy) as proxy_port, serving(talk, way.served) as port:
        monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy_port}")
        socket = await way.open(way.url(port, "chat.example"))
        socket.attach(heard.take, heard.close)
        socket.send_text("two")
        socket.flush()
        go.set()
        await heard.until(lambda heard: len(heard.texts) == 2)
        assert heard.texts == ["one", "three"]
        assert proxy.asked == [f"chat.example:{port}"]
        socket.start_closing()
        await socket.lost


@pytest.mark.skipif(find_spec("python_socks") is not None, reason="python-socks is here")
@pytest.mark.usefixtures("no_proxies")
async def test_a_socks_proxy_that_cannot_be_spoken_to(way, monkeypatch):
    """The error says what is missing."""
    monkeypatch.setenv("ALL_PROXY", "socks5://user:pass@proxy.example")
    with pytest.raises(OpenFailed, match=r"pip install \"python-socks\[asyncio\]\"") as caught:
        await way.open(way.url(443, "chat.example"))
    assert not caught.value.spent


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_whose_url_is_malformed(way, monkeypatch):
    """The error says where to look."""
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy.example")
    with pytest.raises(OpenFailed, match="HTTPS_PROXY and ALL_PROXY"):
        await way.open(way.url(443, "chat.example"))


@pytest.mark.usefixtures("no_proxies")
def test_which_proxy_leads_a_websocket(monkeypatch):
    """Its own variables before those of HTTP, and these before the one for all."""
    assert websocket_proxy("wss") is None
    chosen = []
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "SOCKS_PROXY", "WSS_PROXY"):
        monkeypatch.setenv(name, f"{name[:3].lower()}.example:1")
        chosen.append((websocket_proxy("ws"), websocket_proxy("wss")))
    assert chosen == [
        ("http://all.example:1", "http://all.example:1"),
        ("http://htt.example:1", "http://all.example:1"),
        ("http://htt.example:1", "http://htt.example:1"),
        ("socks5h://soc.example:1", "socks5h://soc.example:1"),
        ("socks5h://soc.example:1", "http://wss.example:1"),
    ]


@pytest.mark.usefixtures("no_proxies")
def test_what_needs_no_proxy(monkeypatch):
    """This machine, what NO_PROXY names, and everything where there is none."""
    monkeypatch.setenv("NO_PROXY", "near.example")
    assert is_direct("far.example", 443)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert not is_direct("far.example", 443)
    assert is_direct("at.near.example", 443)
    assert is_direct("127.0.0.1", 443)
    assert is_direct("localhost", 80)


# Frames.


async def test_texts_in_pieces(way):
    """They are put together, whatever comes in between; what is not text is passed over."""

    async def talk(peer):
        smile = "\N{GRINNING FACE}".encode()
        await peer.accept(
            frame(b"a" + smile[:2], fin=False),
            frame("are you there?", Opcode.PING),
            frame(smile[2:], Opcode.CONT, fin=False),
            frame("", Opcode.CONT),
            frame("bin", Opcode.BINARY, fin=False),
            frame("ary", Opcode.CONT),
            frame("pong", Opcode.PONG),
            frame(b"\xff"),
        )
        pongs.append(await peer.frame())
        peer.send(frame("end"))
        await peer.closed()

    heard, pongs = Heard(), []
    async with way.opened(talk) as socket:
        socket.attach(heard.take, heard.close)
        await heard.until(lambda heard: heard.texts[-1] == "end")
        assert heard.texts == ["a\N{GRINNING FACE}", "\N{REPLACEMENT CHARACTER}", "end"]
        assert [(pong.opcode, pong.data) for pong in pongs] == [(Opcode.PONG, b"are you there?")]


async def test_large_frames_both_ways(way):
    """Up to the limit, a mebibyte."""
    large = "0123456789abcdef" * 65536

    async def talk(peer):
        await peer.accept()
        assert (await peer.frame()).data == large.encode()
        peer.send(frame(large) + frame("after"))
        await peer.closed()

    heard = Heard()
    async with way.opened(talk) as socket:
        socket.attach(heard.take, heard.close)
        socket.send_text(large)
        socket.flush()
        await heard.until(lambda heard: len(heard.texts) == 2)
        assert heard.texts == [large, "after"]


async def test_texts_of_one_step_go_out_in_one_record(ca):
    """They cost one write, one record of TLS, and most often one packet."""
    on_the_wire = bytearray()

    async def talk(peer):
        await peer.accept()
        await go.wait()
        while len(on_the_wire) < 5:
            on_the_wire.extend(await peer.reader.read(65536))
        sent.set()
        await peer.closed()

    go, sent = asyncio.Event(), asyncio.Event()
    async with Way(ca).opened(talk) as socket:
        socket.attach(Heard().take, Heard().close)
        go.set()
        for text in ("one", "two"):
            socket.send_text(text)
        socket.flush()
        await sent.wait()
    frames = 2 * (2 + 4 + 3)
    assert on_the_wire[:3] == b"\x17\x03\x03"  # a record of data
    assert int.from_bytes(on_the_wire[3:5]) == frames + 1 + 16
    assert len(on_the_wire) == 5 + frames + 1 + 16


# Closing.


async def test_closing(way):
    """We say goodbye, and are gone once it is answered. Nothing is handed over any more."""

    async def talk(peer):
        await peer.accept()
        goodbyes.append(await peer.frame())
        peer.send(frame("too late") + b"".join(peer.websocket.data_to_send()))

    heard, goodbyes = Heard(), []
    async with way.opened(talk) as socket:
        socket.attach(heard.take, heard.close)
        socket.start_closing()
        socket.start_closing()
        socket.send_text("too late")
        socket.flush()
        async with asyncio.timeout(PATIENCE):
            await socket.lost
        assert goodbyes[0].opcode is Opcode.CLOSE
        socket.send_text("much too late")
        socket.flush()
        socket.start_closing()
        socket.abort()
    assert heard.texts == heard.closes == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (CLOSE, 1001),
        (b"\xff\xff", None),
        (Frame(Opcode.TEXT, bytes(2**20 + 1)).serialize(mask=False), None),
        (frame("", Opcode.CONT), None),
    ],
    ids=["close", "no frame", "too large", "continues nothing"],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["ws", "wss"])
def test_a_server_that_does_not_hang_up(ca, said, code, encrypted):
    """The end is told at once, and the connection cut a second later, where it is for the server
    to close it, and it does not."""

    async def talk(peer):
        await peer.accept()
        await go.wait()
        peer.send(frame("one") + said + frame("two"))
        assert (await peer.frame()).opcode is Opcode.CLOSE
        await peer.closed()

    async def main():
        way, heard, loop = Way(ca if encrypted else None), Heard(), asyncio.get_running_loop()
        async with way.opened(talk) as socket:
            socket.attach(heard.take, heard.close)
            go.set()
            begun = loop.time()
            await heard.until(lambda heard: heard.closes)
            assert loop.time() - begun < 0.5
            await socket.lost
            assert loop.time() - begun == pytest.approx(1, abs=0.1)
            assert heard.texts == ["one"]
            assert heard.closes == [code]

    go = asyncio.Event()
    run_in_virtual_time(main())


@pytest.mark.parametrize("encrypted", [False, True], ids=["ws", "wss"])
def test_closing_a_path_that_is_stuck(ca, encrypted):
    """What is still to be sent is not waited for, nor is an answer."""

    async def talk(peer):
        await peer.accept()
        await gone.wait()

    async def main():
        way, loop = Way(ca if encrypted else None), asyncio.get_running_loop()
        async with way.opened(talk) as socket:
            socket.attach(Heard().take, Heard().close)
            socket.send_text("x" * 10_000_000)
            socket.flush()
            begun = loop.time()
            socket.start_closing()
            await socket.lost
            assert loop.time() - begun == pytest.approx(1, abs=0.1)
            gone.set()

    gone = asyncio.Event()
    run_in_virtual_time(main())


@pytest.mark.parametrize("encrypted", [False, True], ids=["ws", "wss"])
def test_a_server_that_hangs_up_before_it_has_read(ca, encrypted):
    """The end is told at once, and the rest still sent, for the server may go on to read."""

    async def talk(peer):
        await peer.accept()
        await go.wait()
        peer.writer.write_eof()
        await told.wait()
        await peer.closed()

    async def main():
        way, heard, errors = Way(ca if encrypted else None), Heard(), []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        async with way.opened(talk) as socket:
            socket.attach(heard.take, heard.close)
            socket.send_text("x" * 10_000_000)
            socket.flush()
            go.set()
            await heard.until(lambda heard: heard.closes)
            assert heard.closes == [None]
            assert not socket.lost.done()
            told.set()
            await socket.lost
            socket.abort()
            await asyncio.sleep(2)
        assert errors == []

    go, told = asyncio.Event(), asyncio.Event()
    run_in_virtual_time(main())


async def test_closing_from_what_is_handed_over(way):
    """Whoever closes while texts are handed over hears no more of the websocket."""

    async def talk(peer):
        await peer.accept()
        await go.wait()
        peer.send(frame("one") + frame("two"))
        assert (await peer.frame()).opcode is Opcode.CLOSE
        peer.send(frame("three") + CLOSE)
        peer.writer.write_eof()
        await peer.closed()

    def take(texts):
        heard.take(texts)
        socket.start_closing()

    heard, go = Heard(), asyncio.Event()
    async with way.opened(talk) as socket:
        socket.attach(take, heard.close)
        go.set()
        await socket.lost
    assert heard.texts == ["one", "two"]
    assert heard.closes == []


async def test_what_is_left_of_the_handshake(way):
    """Nothing: the library's connection ends with it."""

    async def talk(peer):
        await peer.accept()
        await peer.closed()

    async with way.opened(talk):
        gc.collect()
        kinds = {type(one).__name__ for one in gc.get_objects()}
        assert not kinds & {"ClientConnection", "_Handshake", "ClientProtocol", "Assembler"}
