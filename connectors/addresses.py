"""Which addresses may be asked: a connection's URL is text that was typed, and this process stands inside a network.

Allowed are http and https to any port of any address except those by which a machine or a cloud gives out secrets:
link-local ones, the clouds' metadata services, unspecified and multicast ones. A name is resolved once for each
connection; every address of it is checked, and the connection is made to the one that was checked, so that a
name that is resolved differently the second time (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore2

from connectors.contract import BackendError, Kind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SCHEMES: Final = ("http", "https")
METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192",
                 "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")
)  # fmt: skip
"""Where clouds hand a machine its credentials: AWS, Azure, Google, Alibaba, Oracle."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be asked. `allowed` are networks that may be asked although a rule here forbids them.

    `ports` are the only ones that may be asked; empty: all.
    """

    allowed: Sequence[Network] = ()
    ports: frozenset[int] = field(default_factory=frozenset)

    def check_url(self, url: str) -> None:
        """Raise BackendError for a URL of another scheme, without a host, with a password, or to a port not allowed."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise _forbidden("The URL cannot be read: write it as http://host:port.") from None
        if parts.scheme not in SCHEMES:
            raise _forbidden("The URL must begin with http:// or https://.")
        if not parts.hostname:
            raise _forbidden("The URL names no host: write it as http://host:port.")
        if parts.username or parts.password:
            raise _forbidden("The URL holds a user or password: set them as auth, where they are encrypted.")
        if self.ports and port not in self.ports:
            raise _forbidden(f"Port {port} is not among TELEMETRY_CONNECTOR_PORTS.")

    def check(self, address: Address) -> None:
        """Raise BackendError for an address that may not be asked."""
        for one in _meanings(address):
            if any(one in network for network in self.allowed if network.version == one.version):
                continue
            if one in METADATA or one.is_link_local or one.is_unspecified or one.is_multicast:
                raise _forbidden(
                    "The address belongs to a metadata service, is link-local, unspecified or multicast, and is not"
                    " asked. A network that is meant can be allowed in TELEMETRY_CONNECTOR_NETWORKS."
                )


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that the policy allows, and to nothing else."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the interface's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check each address, and connect to the first that answers. Raises BackendError."""
        addresses = await _resolve(host, port)
        for address in addresses:
            self._policy.check(address)
        error: Exception | None = None
        for address in addresses:
            try:
                return _Stream(
                    await self._backend.connect_tcp(
                        str(address), port, timeout, local_address, socket_options
                    )
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        assert error is not None  # noqa: S101  a name resolves to one address at least
        raise error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  the interface's own
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: no connection is to a file."""
        del path, timeout, socket_options
        raise _forbidden("Sockets in the file system are not asked.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is cancelled; httpcore2 closes it after errors alone."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the interface's own
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BackendError(
            Kind.UNREACHABLE, "The host's name cannot be resolved: check the connection's url."
        ) from None
    # A scope (fe80::1%eth0) names an interface of this machine; the address is what is checked.
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _meanings(address: Address) -> list[Address]:
    """Return an address, and the IPv4 ones that it leads to: mapped, 6to4, Teredo, NAT64, translated, compatible."""
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(address in network for network in _ENDING_IN_IPV4):
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        found += [one for one in inner if one is not None]
    return found


_ENDING_IN_IPV4: Final = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)


def _forbidden(message: str) -> BackendError:
    return BackendError(Kind.FORBIDDEN_ADDRESS, message)
