"""The one HTTP client by which other systems are asked: pooled, guarded, and bounded in time and bytes.

An Upstream is one connection's client: its base address, its credentials, its bounds. It raises BackendError for what
is the same with every system: no connection, a refused address, time, size, credentials, rate limits. Other statuses
are returned, since each system has error bodies of its own. A request that is cancelled closes its connection, so that
the system can stop its work. Redirects are followed to the same host, scheme and port alone. Neither errors nor logs
hold a URL's query, a header or a body. An error's body is returned without the credentials that were sent: there are
systems, and proxies before them, that repeat a request in their error.
"""

import asyncio
import base64
import binascii
import gc
import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self

import httpcore2
import httpx2
import orjson

from connectors.addresses import GuardedBackend, Policy
from connectors.bodies import ACCEPTED, body_of
from connectors.contract import BackendError, Kind

TIMEOUT_SECONDS: Final = 30.0
MAX_BYTES: Final = 32 << 20
"""Of an answer, after decompression."""
CONNECTIONS: Final = 8
_REDIRECTS: Final = 3
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_KEEPING: Final = frozenset({307, 308})
"""Redirects after which method and body stay as they are."""
_ERRORS: Final = 400
_LARGE: Final = 256 << 10
_DAY: Final = 86_400.0
_BROKEN: Final = (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.TransportError, ssl.SSLError)
"""What becomes of a connection that cannot be made, or breaks."""
_UNAUTHORIZED: Final = frozenset({401, 403})
_RATE_LIMITED: Final = 429
_ERROR_BYTES: Final = 64 << 10
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_HEADERS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_SHORTEST_CREDENTIAL: Final = 6
"""A shorter text is a tenant's number or the like, and stands in errors by chance."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one connection leads. `headers` hold its credentials; `repr` leaves them out."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = TIMEOUT_SECONDS
    max_bytes: int = MAX_BYTES
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its headers by lower-case names, its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is of the 200s."""
        return 200 <= self.status < 300  # noqa: PLR2004

    def json(self) -> Any:
        """Return the body as JSON. Raises BackendError for any other body."""
        try:
            return _loaded(self.body)
        except orjson.JSONDecodeError:
            kind = self.headers.get("content-type", "").partition(";")[0] or "no type"
            raise BackendError(
                Kind.MALFORMED,
                f"The answer (status {self.status}, {kind[:40]}) is not JSON: check that the connection's url leads to"
                " the system itself and not to a proxy, a login page or another program.",
                status=self.status,
            ) from None

    def text(self, at_most: int = 1_000) -> str:
        """Return the beginning of the body as text."""
        return self.body[: at_most * 4].decode("utf-8", "replace")[:at_most]


class Upstream:
    """The client of one connection."""

    def __init__(self, target: Target, policy: Policy | None = None) -> None:
        self._target = target
        self._policy = policy or Policy()
        self._policy.check_url(target.url)
        _check_headers(target.headers)
        self._credentials = _credentials(target.headers)
        self._transport = _Transport(self._policy, _context(target))
        # It builds requests; they are sent past it, because it logs their URLs and keeps cookies.
        self._client = httpx2.AsyncClient(
            transport=self._transport,
            headers=[
                (b"User-Agent", b"claude-code-telemetry"),
                (b"Accept-Encoding", ACCEPTED.encode()),
                *((name.encode(), value.encode()) for name, value in target.headers.items()),
            ],
            timeout=None,  # one bound for the whole request, below
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def timeout_seconds(self) -> float:
        """How long a request may take."""
        return self._target.timeout_seconds

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        form: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Reply:
        """Return the answer to a request below the connection's address. Raises BackendError.

        `content` is a body that is sent as it is, for requests that were signed.
        """
        seconds = timeout_seconds or self._target.timeout_seconds
        more = dict(headers or {})
        if json is not None:
            content = orjson.dumps(json)
            more["Content-Type"] = "application/json"
        try:
            request = self._client.build_request(
                method,
                self._target.url.rstrip("/") + path,
                params=list(params.items() if isinstance(params, Mapping) else params or ()),
                data=form,
                content=content,
                headers=more,
            )
        except (httpx2.InvalidURL, UnicodeError):
            raise BackendError(
                Kind.FORBIDDEN_ADDRESS, "The URL cannot be read: write it as http://host:port."
            ) from None
        try:
            async with asyncio.timeout(seconds):
                return await self._send(request)
        except TimeoutError:
            raise BackendError(
                Kind.TIMEOUT, f"No answer within {seconds:g} seconds (the connection's timeout_seconds)."
            ) from None

    async def get_json(self, path: str, **more: Any) -> tuple[int, Any]:
        """Return the status and the JSON of a GET. Raises BackendError."""
        reply = await self.request("GET", path, **more)
        return reply.status, reply.json()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: httpx2.Request) -> Reply:
        for _ in range(_REDIRECTS + 1):
            try:
                response = await self._transport.handle_async_request(request)
            except _BROKEN as error:
                raise _unreachable(error) from None
            try:
                following = _following(request, response)
                if following is None:
                    return await self._reply(response)
            finally:
                await response.aclose()
            request = following
        raise BackendError(
            Kind.MALFORMED, f"The system redirects more than {_REDIRECTS} times: check the connection's url."
        )

    async def _reply(self, response: httpx2.Response) -> Reply:
        status = response.status_code
        if status in _UNAUTHORIZED:
            raise BackendError(
                Kind.UNAUTHORIZED,
                f"The system refused the credentials (status {status}): check auth.",
                status=status,
            )
        if status == _RATE_LIMITED:
            raise BackendError(
                Kind.RATE_LIMITED,
                "The system answers no more questions for now (status 429).",
                status=status,
                retry_after_seconds=retry_after(response.headers),
            )
        is_error = status >= _ERRORS
        most = _ERROR_BYTES if is_error else self._target.max_bytes
        encoding = response.headers.get("content-encoding", "").strip().lower()
        try:
            body, has_more = await body_of(response.aiter_raw(), encoding, most)
        except _BROKEN as error:
            raise BackendError(
                Kind.MALFORMED, f"The answer broke off ({type(error).__name__}). Ask again.", status=status
            ) from None
        if has_more and not is_error:
            raise BackendError(
                Kind.TOO_LARGE,
                f"The answer is larger than {most:,} bytes: ask for a shorter period, fewer series or fewer lines.",
                status=status,
            )
        return Reply(status, dict(response.headers.items()), self._without_credentials(status, body))

    def _without_credentials(self, status: int, body: bytes) -> bytes:
        if status < _ERRORS:
            return body
        for credential in self._credentials:
            body = body.replace(credential, b"***")
        return body


def _loaded(body: bytes) -> Any:
    """Return a body as JSON. The interpreter is held meanwhile, and looking for garbage would take most of that time.

    A million points of a series take 0.4 s in place of 1.5 s.
    """
    if len(body) < _LARGE or not gc.isenabled():
        return orjson.loads(body)
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raise BackendError for a header that HTTP cannot carry, such as a token with the line break of its file."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or _NOT_IN_HEADERS.search(value) or value != value.strip():
            raise BackendError(
                Kind.UNAUTHORIZED,
                "A header's name or value cannot be sent: write auth and headers without line breaks and other control"
                " characters, and without blanks around them.",
            )


def _credentials(headers: Mapping[str, str]) -> Sequence[bytes]:
    """Return what of headers must not be repeated: values, what follows a scheme, a password; longest first."""
    found = {part for value in headers.values() for part in (value, value.partition(" ")[2])}
    for pair in tuple(found):
        try:
            found.add(base64.b64decode(pair, validate=True).decode().partition(":")[2])
        except (binascii.Error, ValueError):
            continue
    return sorted((one.encode() for one in found if len(one) >= _SHORTEST_CREDENTIAL), key=len, reverse=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a refusal asks to wait, by Retry-After or X-RateLimit-Reset, None without them.

    Retry-After is seconds or a date (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after); a day is the longest.
    """
    for name in ("retry-after", "x-ratelimit-reset"):
        value = headers.get(name, "")
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        return max(0.0, min(_DAY, seconds))
    return None


def _following(request: httpx2.Request, response: httpx2.Response) -> httpx2.Request | None:
    """Return the request that a redirect asks for, None for any other answer. Raises BackendError."""
    status, location = response.status_code, response.headers.get("location")
    if status not in _REDIRECTING or location is None:
        return None
    try:
        url = request.url.join(location)
    except (httpx2.InvalidURL, ValueError):
        raise BackendError(
            Kind.MALFORMED, "The system redirects to an address that cannot be read.", status=status
        ) from None
    if (url.scheme, url.host, url.port) != (request.url.scheme, request.url.host, request.url.port):
        raise BackendError(
            Kind.FORBIDDEN_ADDRESS,
            "The system redirects to another host, scheme or port, which is not followed: set the connection's url"
            " to where the system is.",
            status=status,
        )
    headers = dict(request.headers)
    if request.method in {"GET", "HEAD"} or status in _KEEPING:
        return httpx2.Request(request.method, url, headers=headers, content=request.content)
    for name in ("content-length", "content-type"):
        headers.pop(name, None)
    return httpx2.Request("GET", url, headers=headers)


def _unreachable(error: Exception) -> BackendError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BackendError):
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BackendError(
                Kind.UNREACHABLE,
                "The system's certificate is not trusted: set tls.ca_file to its authority's certificate, or correct"
                " the host's name in url.",
            )
        cause = cause.__cause__ or cause.__context__
    return BackendError(
        Kind.UNREACHABLE,
        f"The system cannot be reached ({type(error).__name__}): check that it runs, and the connection's url.",
    )


def _context(target: Target) -> ssl.SSLContext | None:
    """Return the context of connections; none for plain HTTP, since the system's authorities take 60 ms to read."""
    return target.tls or (ssl.create_default_context() if target.url.lower().startswith("https:") else None)


class _Transport(httpx2.AsyncBaseTransport):
    """A pool of connections to allowed addresses."""

    def __init__(self, policy: Policy, tls: ssl.SSLContext | None) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=30.0,
            retries=0,
            network_backend=GuardedBackend(policy),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        assert isinstance(request.stream, httpx2.AsyncByteStream)  # noqa: S101  ours are
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_stream():
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()
