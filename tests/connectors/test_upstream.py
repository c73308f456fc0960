"""The one client of other systems, against systems on loopback that answer as none should."""

import asyncio
import gzip
import logging
import time
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any

import pytest

from connectors.contract import BackendError, Kind
from connectors.upstream import MAX_BYTES, Reply, Target, Upstream, retry_after
from tests.connectors.hostile import Script, answer, echoing, endless, hostile, saying, silence
from tests.connectors.subject import SECRET, START

HEADERS = {"Authorization": f"Bearer {SECRET}"}
SMALL = 1 << 20


async def asked(
    url: str,
    *,
    seconds: float = 20,
    most: int = MAX_BYTES,
    headers: Mapping[str, str] = HEADERS,
    **given: Any,
) -> Reply:
    """Ask once, with a client of its own."""
    async with Upstream(Target(url, headers, seconds, most)) as upstream:
        return await upstream.request(given.pop("method", "GET"), given.pop("path", "/path"), **given)


def reply_to(script: Script, **given: Any) -> Reply:
    """Return the answer of a server that does as the script says."""

    async def run() -> Reply:
        async with hostile(script) as server:
            return await asked(server.url, **given)

    return asyncio.run(run())


def error_to(script: Script, **given: Any) -> BackendError:
    """Return the error at a server that does as the script says; it never shows the credential."""
    with pytest.raises(BackendError) as caught:
        reply_to(script, **given)
    error = caught.value
    assert SECRET not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    return error


def writing(*pieces: bytes, pause: float = 0) -> Script:
    """Return a script that writes pieces as they are, and closes the connection."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


# ---------------------------------------------------------------- time


def test_headers_and_then_nothing_is_a_timeout() -> None:
    """The limit holds for the whole answer, not for each read."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    for script in (silence, writing(start, *[b" "] * 1_000, pause=0.5)):
        started = time.monotonic()
        assert error_to(script, seconds=0.3).kind == Kind.TIMEOUT
        assert time.monotonic() - started < 100


def test_an_endless_head_is_no_answer() -> None:
    """A server that sends headers for ever is left."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 1_000 + b"\r\n")
            await writer.drain()

    assert error_to(script).kind == Kind.UNREACHABLE


def test_one_slow_system_holds_up_no_other() -> None:
    """While one does not answer and another answers without end, a third is asked many times."""

    async def run() -> None:
        pieces = [b"x" * 65_536]
        async with (
            hostile(silence) as silent,
            hostile(endless(b"[", pieces)) as talking,
            hostile(saying("200 OK", b"{}")) as good,
        ):
            waiting = [asyncio.ensure_future(asked(silent.url)) for _ in range(12)]
            reading = asyncio.ensure_future(asked(talking.url))
            await silent.has_request.wait()
            for _ in range(20):
                assert (await asked(good.url, seconds=10)).json() == {}
            assert not any(one.done() for one in waiting)
            for one in (*waiting, reading):
                one.cancel()
            await asyncio.gather(*waiting, reading, return_exceptions=True)

    asyncio.run(run())


def test_a_cancelled_answer_closes_its_connection_and_the_client_goes_on() -> None:
    """Cancelled in the middle of a body, the place in the pool is free again."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" not in head:
            writer.write(answer("200 OK", b"{}"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    async def run() -> None:
        async with hostile(script) as server, Upstream(Target(server.url, timeout_seconds=20)) as upstream:
            for _ in range(20):
                server.has_request.clear()
                server.is_left.clear()
                asking = asyncio.ensure_future(upstream.request("GET", "/slow"))
                await server.has_request.wait()
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await asyncio.wait_for(server.is_left.wait(), 180)
            assert (await upstream.request("GET", "/quick")).json() == {}

    asyncio.run(run())


# ---------------------------------------------------------------- size


def memory_of(script: Script, **given: Any) -> tuple[BackendError, int]:
    """Return the error, and the bytes that Python held at most meanwhile."""
    tracemalloc.start()
    try:
        error = error_to(script, most=SMALL, **given)
        return error, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_endless_answer_is_read_to_the_bound() -> None:
    """Neither its length nor its compression takes memory."""
    script = endless(b'{"status":"success","data":[', [b'"x",' * 10_000])
    error, most = memory_of(script)
    assert (error.kind, error.status) == (Kind.TOO_LARGE, 200)
    assert f"{SMALL:,} bytes" in error.message
    assert most < 8 * SMALL


@pytest.mark.parametrize(("encoding", "bits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_bomb_is_decompressed_to_the_bound(encoding: str, bits: int) -> None:
    """It grows a thousandfold, to 64 MiB of zeros: no more than the bound is made of it."""
    stream = zlib.compressobj(9, zlib.DEFLATED, bits)
    block = bytes(1 << 20)
    packed = b"".join(stream.compress(block) for _ in range(64)) + stream.flush()
    error, most = memory_of(saying("200 OK", packed, f"Content-Encoding: {encoding}"))
    assert error.kind == Kind.TOO_LARGE
    assert most < 8 * SMALL


@pytest.mark.parametrize("bits", [31, 15, -15])
def test_compressed_answers_are_read(bits: int) -> None:
    """Gzip, one file after another too, and deflate with zlib's frame or without."""
    text = b'{"a": ' + b"1" * 100_000 + b"}"
    stream = zlib.compressobj(6, zlib.DEFLATED, bits)
    packed = stream.compress(text) + stream.flush()
    encoding = "gzip" if bits == 31 else "deflate"
    assert reply_to(saying("200 OK", packed, f"Content-Encoding: {encoding}")).body == text
    two = gzip.compress(b"[1,") + gzip.compress(b"2]")
    assert reply_to(saying("200 OK", two, "Content-Encoding: gzip")).json() == [1, 2]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"{}" * 1000)[:-12], "gzip"),
        (b"{}", "gzip"),
        (b"\xff\xff\xff", "deflate"),
        (b"{}", "br"),
        (b"{}", "gzip, gzip"),
    ],
    ids=["cut off", "none", "no deflate", "not asked for", "twice"],
)
def test_broken_compression_is_malformed(body: bytes, encoding: str) -> None:
    """Cut off, not compressed at all, or in a way that was not asked for."""
    assert error_to(saying("200 OK", body, f"Content-Encoding: {encoding}")).kind == Kind.MALFORMED


def test_an_error_is_read_to_a_bound_of_its_own() -> None:
    """It is returned to the adapter, whatever its length."""
    reply = reply_to(saying("500 Internal Server Error", b"x" * (1 << 20), kind="text/plain"))
    assert (reply.status, reply.is_success, len(reply.body), len(reply.text())) == (500, False, 65_536, 1_000)


@pytest.mark.parametrize(
    "script",
    [
        writing(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        writing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\n"),
        writing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\r\n"),
    ],
)
def test_an_answer_that_breaks_off_is_malformed(script: Script) -> None:
    """It is never taken for a whole one."""
    error = error_to(script)
    assert (error.kind, error.status) == (Kind.MALFORMED, 200)


@pytest.mark.parametrize(
    "body", [b'{"data": [1, 2', b"<html><title>Sign in</title>", b"", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    """The message names the status and the type, and quotes nothing."""
    reply = reply_to(saying("200 OK", body, kind="text/html"))
    with pytest.raises(BackendError) as caught:
        reply.json()
    assert (caught.value.kind, caught.value.status) == (Kind.MALFORMED, 200)
    assert "text/html" in caught.value.message
    assert "Sign in" not in caught.value.message


@pytest.mark.parametrize(
    "head", [b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc OK\r\n\r\n", bytes(100)]
)
def test_what_is_not_http_is_unreachable(head: bytes) -> None:
    """Another program listens there, or none that answers."""
    assert error_to(writing(head)).kind == Kind.UNREACHABLE


# ---------------------------------------------------------------- statuses


def test_refused_credentials_are_told_and_not_shown() -> None:
    """Even where the server sends them back."""
    for status in ("401 Unauthorized", "403 Forbidden"):
        error = error_to(echoing(status))
        assert (error.kind, error.status, error.detail) == (Kind.UNAUTHORIZED, int(status[:3]), "")


def test_other_errors_are_returned_without_the_credentials() -> None:
    """An adapter may show what the system says."""
    reply = reply_to(echoing("500 Internal Server Error"))
    assert SECRET.encode() not in reply.body
    assert b"GET /path" in reply.body
    assert "Authorization" not in repr(reply)


def test_a_refusal_says_when_to_ask_again() -> None:
    """In seconds or as a date; anything else is unknown, and a day is the longest."""
    error = error_to(saying("429 Too Many Requests", b"", "Retry-After: 7"))
    assert (error.kind, error.retry_after_seconds) == (Kind.RATE_LIMITED, 7.0)
    assert error_to(saying("429 Too Many Requests", b"")).retry_after_seconds is None
    assert retry_after({"x-ratelimit-reset": "3"}) == 3.0
    assert retry_after({"retry-after": format_datetime(START)}) == 0.0
    assert retry_after({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}) == 86_400.0
    assert retry_after({"retry-after": "-5"}) == 0.0
    assert retry_after({"retry-after": "inf"}) == 86_400.0
    assert retry_after({"retry-after": "soon"}) is None


def test_a_redirect_to_the_same_system_is_followed() -> None:
    """A form stays one where the status says so, and becomes a GET where not."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        if head.startswith((b"GET /there?a=1", b"POST /there?a=1")):
            writer.write(answer("200 OK", head.partition(b" ")[0], kind="text/plain"))
            return
        status = head.partition(b"status-")[2][:3].decode()
        writer.write(answer(f"{status} Elsewhere", b"", "Location: /there?a=1"))

    assert reply_to(script, path="/status-301").body == b"GET"
    assert reply_to(script, path="/status-303", method="POST", form={"b": "2"}).body == b"GET"
    assert reply_to(script, path="/status-307", method="POST", form={"b": "2"}).body == b"POST"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:1/",
        "https://127.0.0.1/",
        "//metadata.google.internal/computeMetadata/v1/",
        "file:///etc/passwd",
        "http://[::ffff:169.254.169.254]/",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    """Not to another host, scheme or port: the credentials are for this one."""
    error = error_to(saying("302 Found", b"", f"Location: {location}"))
    assert error.kind == Kind.FORBIDDEN_ADDRESS
    assert "169.254" not in error.message


def test_redirects_in_a_circle_end() -> None:
    """After three, and an address that cannot be read is none."""
    assert error_to(saying("302 Found", b"", "Location: /path")).kind == Kind.MALFORMED
    assert error_to(saying("302 Found", b"", "Location: http://[::1")).kind == Kind.MALFORMED


# ---------------------------------------------------------------- credentials


def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither credentials nor a query, at any level of any library's logger."""
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx2", "httpcore2", "asyncio"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        script = echoing("500 Internal Server Error")
        reply_to(script, params={"query": "private-words"}, headers=HEADERS)
        reply_to(script, method="POST", form={"query": "private-words"}, headers=HEADERS)
        error_to(echoing("401 Unauthorized"), params={"query": "private-words"})
    assert SECRET not in caplog.text
    assert "private-words" not in caplog.text


@pytest.mark.parametrize("end", ["\n", "\r\nX-Other: 1", " ", "\x00", "\ud800"])
def test_a_credential_that_cannot_be_sent_is_refused_at_once(end: str) -> None:
    """A token read from a file has its line break; the error does not show it."""
    with pytest.raises(BackendError) as caught:
        Upstream(Target("http://127.0.0.1:1", {"Authorization": SECRET + end}))
    assert caught.value.kind == Kind.UNAUTHORIZED
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_credential_of_other_letters_is_sent() -> None:
    """As UTF-8."""

    async def run() -> bytes:
        async with hostile(saying("200 OK", b"{}")) as server:
            await asked(server.url, headers={"X-Key": "schlüssel-✓"})
            return server.heads[0]

    assert "X-Key: schlüssel-✓".encode() in asyncio.run(run())


def test_no_cookie_is_kept() -> None:
    """Each question is asked as the first."""

    async def run() -> list[bytes]:
        script = saying("200 OK", b"{}", "Set-Cookie: session=1")
        async with hostile(script) as server, Upstream(Target(server.url)) as upstream:
            for _ in range(2):
                await upstream.request("GET", "/")
            return server.heads

    assert not any(b"cookie" in head.lower() for head in asyncio.run(run()))


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would see the credentials, and choose the address."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert reply_to(saying("200 OK", b"{}")).json() == {}


def run_against(script: Script, use: Callable[[Upstream], Awaitable[None]]) -> None:
    """Use one client of a server that does as the script says."""

    async def run() -> None:
        async with hostile(script) as server, Upstream(Target(server.url, HEADERS)) as upstream:
            await use(upstream)

    asyncio.run(run())


def test_a_client_does_not_show_its_credentials() -> None:
    """Neither it nor its parts."""

    async def look(upstream: Upstream) -> None:
        assert SECRET not in repr(upstream)
        assert SECRET not in repr(Target("http://127.0.0.1:1", HEADERS))
        assert SECRET not in repr(await upstream.request("GET", "/"))

    run_against(saying("200 OK", b"{}"), look)
