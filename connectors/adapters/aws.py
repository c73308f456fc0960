"""AWS' signed interfaces: botocore signs each request and reads its answer, and Upstream sends it.

So a call has the guard, the bounds and the pool that every other system's has, and a cancelled call is cancelled at
the socket. botocore works in a thread, since it blocks. It asks nothing else: no metadata service, no proxy of the
environment, no second attempt. The library is the extra `aws`; without it an error says so.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import util
from typing import Any, Final

from pydantic import Field, SecretStr

from connectors.addresses import Policy
from connectors.backend import Config
from connectors.contract import BackendError, Kind
from connectors.upstream import MAX_BYTES, TIMEOUT_SECONDS, Reply, Target, Upstream

_THROTTLED: Final = ("Throttl", "LimitExceeded", "RequestLimit", "TooManyRequests", "SlowDown")
_UNAUTHORIZED: Final = (
    "AccessDenied", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignature",
    "ExpiredToken", "MissingAuthentication", "IncompleteSignature", "AuthFailure", "OptInRequired",
)  # fmt: skip
_NOT_FOUND: Final = ("ResourceNotFound", "NotFound")
_BAD_QUERY: Final = (
    "Validation",
    "InvalidParameter",
    "MalformedQuery",
    "InvalidFormat",
    "MissingParameter",
    "MissingRequired",
)
_DETAIL: Final = 1_000
_MAKING: Final = threading.Lock()
"""boto3 makes one client at a time."""
_HTML: Final = (b"<html", b"<!doctype html")


class AwsConfig(Config):
    """Where and as whom AWS is asked. Keys are needed: a connection never uses those of this machine."""

    region: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="Such as us-east-1.")
    access_key_id: SecretStr
    secret_access_key: SecretStr
    session_token: SecretStr = SecretStr("")
    endpoint_url: str = Field(default="", description="Another address of the services, as of LocalStack.")
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=600)
    max_response_bytes: int = Field(default=MAX_BYTES, ge=1024, le=1 << 30)


class Service:
    """One of AWS' services as one connection asks it. `name` is botocore's: cloudwatch, logs."""

    def __init__(self, name: str, config: AwsConfig, policy: Policy) -> None:
        if util.find_spec("boto3") is None:
            raise BackendError(
                Kind.UNSUPPORTED,
                "CloudWatch needs the package boto3: install the extra aws"
                " (pip install 'claude-code-telemetry[aws]'), and start again.",
            )
        if config.endpoint_url:
            policy.check_url(config.endpoint_url)
        self._name = name
        self._config = config
        self._policy = policy
        self._lock = asyncio.Lock()
        self._client: Any = None
        self._upstream: Upstream | None = None
        self._own = threading.local()
        """A thread's own: through which of the calls under way its request goes."""

    async def client(self) -> Any:
        """Return botocore's client, made once. What it sends goes through Upstream."""
        async with self._lock:
            if self._client is None:
                client = await asyncio.to_thread(_made, self._name, self._config)
                # The hook that botocore has for this: what it returns is the answer, and nothing else is sent.
                client.meta.events.register("before-send", self._send)
                self._upstream = Upstream(
                    Target(
                        client.meta.endpoint_url,
                        timeout_seconds=self._config.timeout_seconds,
                        max_bytes=self._config.max_response_bytes,
                    ),
                    self._policy,
                )
                self._client = client
            return self._client

    async def call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """Return the answer to one call, by botocore's name for it. Raises BackendError."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  an extra

        client = await self.client()
        assert self._upstream is not None  # noqa: S101  made with the client
        sending = _Sending(self._upstream, asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(self._called, client, operation, arguments, sending)
        except asyncio.CancelledError:
            sending.cancel()
            raise
        except ClientError as error:
            raise _refused(error.response) from None
        except BotoCoreError as error:
            kind = type(error).__name__
            bad = kind == "ParamValidationError"
            raise BackendError(
                Kind.BAD_QUERY if bad else Kind.MALFORMED,
                f"AWS' client does not take this {'question' if bad else 'answer'} ({kind}).",
                detail=str(error)[:_DETAIL] if bad else "",
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._upstream is not None:
            await self._upstream.close()

    def _called(
        self, client: Any, operation: str, arguments: Mapping[str, Any], sending: "_Sending"
    ) -> Mapping[str, Any]:
        self._own.sending = sending
        found: Mapping[str, Any] = getattr(client, operation)(**arguments)
        return found

    def _send(self, request: Any, **_: Any) -> Any:
        return self._own.sending(request)


class _Sending:
    """Sends what botocore has signed, from its thread, in the event loop that asked."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._upstream = upstream
        self._loop = loop
        self._is_cancelled = False
        self._task: asyncio.Task[Reply] | None = None

    def cancel(self) -> None:
        """End the request that is under way; called in the event loop."""
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    def __call__(self, request: Any) -> Any:
        """Return the answer to a request of botocore's, an AWSPreparedRequest, as an AWSResponse."""
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415  an extra

        reply = asyncio.run_coroutine_threadsafe(self._sent(request), self._loop).result()
        if reply.is_success and reply.body.lstrip()[:15].lower().startswith(_HTML):
            # botocore reads what it does not understand as an answer without fields.
            raise BackendError(
                Kind.MALFORMED,
                "The answer is a page of HTML: check endpoint_url, and that no proxy answers in AWS' place.",
                status=reply.status,
            )
        # The body is decompressed already.
        headers = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
        return AWSResponse(request.url, reply.status, headers, _Body(reply.body))

    async def _sent(self, request: Any) -> Reply:
        if self._is_cancelled:
            raise asyncio.CancelledError
        body = request.body
        self._task = asyncio.ensure_future(
            self._upstream.request(
                request.method,
                "/",
                content=body.encode() if isinstance(body, str) else bytes(body or b""),
                headers={name: _text(value) for name, value in request.headers.items()},
            )
        )
        return await self._task


class _Body:
    """What AWSResponse reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _made(name: str, config: AwsConfig) -> Any:
    from botocore.config import Config as Bounds  # noqa: PLC0415  an extra

    with _MAKING:
        return _session().client(
            name,
            aws_access_key_id=config.access_key_id.get_secret_value(),
            aws_secret_access_key=config.secret_access_key.get_secret_value(),
            aws_session_token=config.session_token.get_secret_value() or None,
            region_name=config.region,
            endpoint_url=config.endpoint_url or None,
            config=Bounds(
                retries={"total_max_attempts": 1}, proxies={}, ignore_configured_endpoint_urls=True
            ),
        )


@cache
def _session() -> Any:
    """Return what holds the descriptions of AWS' services, read once for all connections; it has no credentials."""
    import boto3  # noqa: PLC0415  an extra, which takes half a second

    return boto3.session.Session()


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _refused(response: Mapping[str, Any]) -> BackendError:
    """Return AWS' own error as one of this package."""
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    detail = f"{code}: {error.get('Message', '')}"[:_DETAIL]

    def has(*parts: str) -> bool:
        return any(part in code for part in parts)

    if has(*_THROTTLED):
        return BackendError(Kind.RATE_LIMITED, "AWS answers no more questions for now.", detail, status, 1.0)
    if has(*_UNAUTHORIZED):
        return BackendError(
            Kind.UNAUTHORIZED,
            "AWS refused the credentials: check access_key_id, secret_access_key, region and what its policy allows.",
            detail,
            status,
        )
    if has(*_NOT_FOUND):
        return BackendError(Kind.NOT_FOUND, "AWS has no such resource in this region.", detail, status)
    if has(*_BAD_QUERY):
        return BackendError(Kind.BAD_QUERY, "AWS does not accept the query.", detail, status)
    return BackendError(Kind.FAILED, "AWS reports an error of its own.", detail, status)
