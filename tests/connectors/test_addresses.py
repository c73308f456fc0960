"""Which addresses may be asked: however one is written, and whatever a name is resolved to."""

import asyncio
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from connectors.addresses import Policy
from connectors.contract import BackendError, Kind
from connectors.upstream import Target, Upstream
from tests.certificates import Authority
from tests.connectors.hostile import hostile, saying
from tests.connectors.subject import SECRET


def error_at(url: str, policy: Policy | None = None, **more: Any) -> BackendError:
    """Return the error of a request to a URL."""

    async def run() -> None:
        async with Upstream(
            Target(url, {"Authorization": f"Bearer {SECRET}"}, 10, **more), policy
        ) as upstream:
            await upstream.request("GET", "/")

    with pytest.raises(BackendError) as caught:
        asyncio.run(run())
    assert SECRET not in f"{caught.value!r} {caught.value.__context__!r}"
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1",
        "2852039166",  # the same in decimal
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "0xa9.254.0251.254",
        "169.254.43518",
        "100.100.100.200",
        "0.0.0.0",
        "0",
        "224.0.0.1",
        "[::]",
        "[ff02::1]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "[::ffff:0.0.0.0]",
    ],
)
def test_an_address_that_gives_out_secrets_is_not_asked(host: str) -> None:
    """Link-local, metadata, unspecified and multicast ones, in every way of writing them."""
    assert error_at(f"http://{host}:8080").kind == Kind.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    "addresses", ["169.254.169.254", "127.0.0.1 169.254.169.254", "fe80::1", "::ffff:a9fe:a9fe"]
)
def test_a_name_of_such_an_address_is_not_asked(monkeypatch: pytest.MonkeyPatch, addresses: str) -> None:
    """One forbidden address of a name is enough, so that none is tried."""

    def resolved(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80))
            for one in addresses.split()
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert error_at("http://prometheus.example").kind == Kind.FORBIDDEN_ADDRESS


def test_a_name_is_resolved_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere the second time (DNS rebinding) gains nothing: what was checked is connected to."""
    answers = iter(["127.0.0.1", "169.254.169.254", "169.254.169.254"])

    async def run() -> None:
        async with hostile(saying("200 OK", b"{}")) as server:

            def resolved(*_: Any, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), server.port))]

            monkeypatch.setattr(socket, "getaddrinfo", resolved)
            async with Upstream(Target(f"http://rebinding.example:{server.port}")) as upstream:
                assert (await upstream.request("GET", "/")).json() == {}
                with pytest.raises(
                    BackendError
                ) as caught:  # the server closes: a new connection is resolved again
                    await upstream.request("GET", "/")
        assert caught.value.kind == Kind.FORBIDDEN_ADDRESS

    asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:70/",
        "127.0.0.1:9090",
        "http://",
        "http:///path",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://a\nb/",
        "http://a\ud800/",
        "",
    ],
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    """Only http and https, with a host, without a password in the address."""
    error = error_at(url)
    assert error.kind == Kind.FORBIDDEN_ADDRESS
    assert "password@" not in error.message


def test_a_network_that_is_meant_can_be_allowed() -> None:
    """It is then tried, and nothing answers."""
    policy = Policy(allowed=[ipaddress.ip_network("0.0.0.0/32")])

    async def unused() -> int:
        async with hostile(saying("200 OK", b"{}")) as server:
            return server.port

    port = asyncio.run(unused())
    assert error_at(f"http://0.0.0.0:{port}", policy).kind == Kind.UNREACHABLE
    assert error_at(f"http://0.0.0.0:{port}").kind == Kind.FORBIDDEN_ADDRESS


def test_ports_can_be_named() -> None:
    """All others are then refused, the scheme's own among them."""
    policy = Policy(ports=frozenset({9090}))
    for url in ("http://127.0.0.1", "https://127.0.0.1", "http://127.0.0.1:22"):
        assert error_at(url, policy).kind == Kind.FORBIDDEN_ADDRESS
    policy.check_url("http://127.0.0.1:9090")


def test_a_name_that_is_not_there_is_unreachable() -> None:
    """The domain .invalid has no names (RFC 6761)."""
    assert error_at("http://prometheus.invalid").kind == Kind.UNREACHABLE
    assert error_at("http://a..b").kind == Kind.UNREACHABLE
    assert error_at(f"http://{'a' * 70}.example").kind == Kind.UNREACHABLE


# ---------------------------------------------------------------- certificates


def test_a_certificate_that_is_trusted_is_asked_and_any_other_is_not(tmp_path: Path) -> None:
    """Of an unknown authority, for another name, expired: the error names the setting."""
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    shown = {
        "good": ours.issue("server"),
        "for another name": ours.issue("another", names=["prometheus.example"]),
        "expired": ours.issue("old", expired=True),
        "of another authority": other.issue("server"),
    }

    async def asked(case: str) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown[case].certificate, shown[case].key)
        async with (
            hostile(saying("200 OK", b"{}"), context) as server,
            Upstream(Target(server.url, timeout_seconds=20, tls=ours.context())) as upstream,
        ):
            return (await upstream.request("GET", "/")).body

    assert asyncio.run(asked("good")) == b"{}"
    for case in ("for another name", "expired", "of another authority"):
        with pytest.raises(BackendError) as caught:
            asyncio.run(asked(case))
        assert (caught.value.kind, "tls.ca_file" in caught.value.message) == (Kind.UNREACHABLE, True), case


def test_tls_to_a_port_without_it_is_unreachable(tmp_path: Path) -> None:
    """A program without TLS answers with an error, which is no handshake."""
    ours = Authority(tmp_path, "ours")

    async def run() -> None:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with Upstream(Target(url, timeout_seconds=20, tls=ours.context())) as upstream:
                await upstream.request("GET", "/")

    with pytest.raises(BackendError) as caught:
        asyncio.run(run())
    assert caught.value.kind == Kind.UNREACHABLE


def test_a_handshake_that_is_never_answered_is_left(tmp_path: Path) -> None:
    """After the time limit its connection is closed."""
    ours = Authority(tmp_path, "ours")

    async def run() -> None:
        is_left = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            is_left.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with Upstream(Target(url, timeout_seconds=0.3, tls=ours.context())) as upstream:
                with pytest.raises(BackendError) as caught:
                    await upstream.request("GET", "/")
                assert caught.value.kind == Kind.TIMEOUT
                await asyncio.wait_for(is_left.wait(), 180)

    asyncio.run(run())
