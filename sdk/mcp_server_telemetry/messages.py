"""What is measured of each message that a server gets: one span, its duration, its use, its error.

The span is of the conventions: `{mcp.method.name} {gen_ai.tool.name}`, kind SERVER, its parent the client's by
`_meta.traceparent`. It never has content: no argument, result, error text or address of a resource, and a name only
when the server itself has it. A client's cancellation and its disappearance are no errors of the server.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from mcp_server_telemetry import definitions
from mcp_server_telemetry.bounds import OTHER
from mcp_server_telemetry.recorder import Recorder, Recording, no_recording

R = TypeVar("R")

_TOOL_CALL: Final = "tools/call"
_PROMPT_GET: Final = "prompts/get"
_RESOURCE_READ: Final = "resources/read"
_KINDS: Final = {_TOOL_CALL: "tool", _PROMPT_GET: "prompt", _RESOURCE_READ: "resource"}
_IDENTIFIER: Final = re.compile(r"[0-9a-fA-F-]{1,36}")
_CANCELLED: Final = "cancelled"
_COMBINATIONS: Final = 4096
_STATUS_OK: Final = "ok"
_STATUS_ERROR: Final = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """One request or notification, as any server has it. `user` is who asks, before hashing."""

    method: str
    name: str = ""
    """Of a tool or a prompt."""
    request_id: str | None = None
    meta: Mapping[str, Any] | None = None
    protocol_version: str = ""
    session_id: str | None = None
    transport: str = "pipe"
    user: str | None = None
    arguments: Any = None


class Messages:
    """The measurements of one server's messages."""

    def __init__(self, recorder: Recorder) -> None:
        self._tracer = recorder.tracer
        # Made once for each combination, of which the bounds allow so many: to make them is dear beside the recording.
        self._prepared: dict[tuple[str, str, str, str, str, bool], _Prepared] = {}
        self._recorder = recorder

    async def observe(
        self, message: Message, answer: Callable[[], Awaitable[R]], is_error: Callable[[R], bool]
    ) -> R:
        """Return what `answer` returns, or raise what it raises, and measure it."""
        begin = time.perf_counter()
        is_named = self._is_known(message)
        span = self._begun(message, is_named=is_named)
        token = otel_context.attach(trace.set_span_in_context(span)) if span is not None else None
        error = ""
        result: R | None = None
        try:
            answered = result = await answer()
            # No context manager on this path: it costs as much as a counter.
            try:
                error = "tool_error" if is_error(answered) else ""
            except Exception as failure:  # noqa: BLE001  the server's own answer must not depend on it
                self._recorder.failed(failure)
            return answered  # noqa: TRY300  the error of a result is no exception
        except asyncio.CancelledError:
            error = _CANCELLED
            raise
        except BaseException as raised:
            error = _type_of(raised)
            raise
        finally:
            if token is not None:
                otel_context.detach(token)
            seconds = time.perf_counter() - begin
            name = kept = ""
            try:
                name, kept = self._measured(message, seconds, error)
            except Exception as failure:  # noqa: BLE001  the server's own answer must not depend on it
                self._recorder.failed(failure)
            if span is not None:
                try:
                    self._end_span(span, message, "" if is_named else name, kept, result)
                except Exception as failure:  # noqa: BLE001  the same
                    self._recorder.failed(failure)

    def _begun(self, message: Message, *, is_named: bool) -> Span | None:
        try:
            method = self._recorder.methods.of(message.method)
            attributes = {definitions.METHOD: method, definitions.TRANSPORT: message.transport}
            if message.protocol_version:
                attributes[definitions.PROTOCOL] = self._recorder.version(message.protocol_version)
            if message.request_id is not None:
                # A client chooses it. What could be a text is hashed.
                request = message.request_id
                attributes["jsonrpc.request.id"] = (
                    request if _IDENTIFIER.fullmatch(request) else self._recorder.options.hashed(request)
                )
            if message.session_id:
                attributes["mcp.session.id"] = self._recorder.options.hashed(message.session_id)
            if message.method == _TOOL_CALL:
                attributes["gen_ai.operation.name"] = "execute_tool"
            name = method
            if is_named:
                # Set now: to set it afterwards costs more.
                name = f"{method} {message.name}"
                attributes[definitions.TOOL if method == _TOOL_CALL else definitions.PROMPT] = message.name
            return self._tracer.start_span(
                name,
                _parent(message.meta),
                kind=SpanKind.SERVER,
                attributes=attributes,
            )
        except Exception as error:  # noqa: BLE001  the server's own answer must not depend on it
            self._recorder.failed(error)
            return None

    def _measured(self, message: Message, seconds: float, error: str) -> tuple[str, str]:
        """Record a message's metrics, and return the name and the error under which it was counted."""
        recorder = self._recorder
        method = recorder.methods.of(message.method)
        name = self._name(message, is_success=not error)
        version = recorder.version(message.protocol_version) if message.protocol_version else ""
        kept = recorder.error(error) if error else ""
        key = (method, name, version, message.transport, kept, message.request_id is not None)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = _prepared(recorder, *key)
            if len(self._prepared) < _COMBINATIONS:
                self._prepared[key] = prepared
        prepared.latency(seconds * 1000)
        prepared.duration(seconds)
        prepared.error(1)
        if prepared.feature:
            prepared.use(1)
            recorder.used(prepared.feature, recorder.options.hashed(message.user) if message.user else None)
        return name, kept

    def _end_span(self, span: Span, message: Message, name: str, error: str, result: Any) -> None:
        if span.is_recording():
            if name and name != OTHER:
                span.update_name(f"{message.method} {name}")
                span.set_attribute(
                    definitions.TOOL if message.method == _TOOL_CALL else definitions.PROMPT, name
                )
            if message.user:
                span.set_attribute("enduser.pseudo.id", self._recorder.options.hashed(message.user))
            if error:
                span.set_attribute(definitions.ERROR, error)
                if error.lstrip("-").isdecimal():
                    span.set_attribute("rpc.response.status_code", error)
                if error != _CANCELLED:
                    span.set_status(StatusCode.ERROR)
            if self._recorder.options.record_content and message.method == _TOOL_CALL:
                hashed = self._recorder.options.hashed
                span.set_attribute("gen_ai.tool.call.arguments", hashed(repr(message.arguments)))
                span.set_attribute("gen_ai.tool.call.result", hashed(repr(result)))
        span.end()

    def _is_known(self, message: Message) -> bool:
        """Whether a tool or prompt is one that the server has, before it answers."""
        recorder = self._recorder
        return (message.method == _TOOL_CALL and recorder.tools.has(message.name)) or (
            message.method == _PROMPT_GET and recorder.prompts.has(message.name)
        )

    def _name(self, message: Message, *, is_success: bool) -> str:
        """Return the name under which a tool or prompt is counted. One that answered is the server's own."""
        if not message.name or message.method not in {_TOOL_CALL, _PROMPT_GET}:
            return ""
        values = self._recorder.tools if message.method == _TOOL_CALL else self._recorder.prompts
        if is_success:
            values.admit(message.name)
        return values.of(message.name)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is recorded of one combination, each with its attributes; `feature` is what a store calls what was used."""

    latency: Recording
    duration: Recording
    error: Recording
    use: Recording
    feature: str


def _prepared(
    recorder: Recorder,
    method: str,
    name: str,
    version: str,
    transport: str,
    error: str,
    is_request: bool,  # noqa: FBT001  a part of the key
) -> _Prepared:
    short = {definitions.METHOD: method}
    if name and method == _TOOL_CALL:
        short[definitions.TOOL] = name
    full = {**short, definitions.TRANSPORT: transport}
    if version:
        full[definitions.PROTOCOL] = version
    if name and method == _PROMPT_GET:
        full[definitions.PROMPT] = name
    if error:
        full[definitions.ERROR] = error
    kind = _KINDS.get(method, "")
    use = {
        definitions.FEATURE_KIND: kind,
        definitions.FEATURE: name or kind,
        definitions.STATUS: _STATUS_ERROR if error else _STATUS_OK,
    }
    feature = f"{kind}:{name}" if name else kind
    recording, is_failure = recorder.recording, bool(error) and error != _CANCELLED
    return _Prepared(
        recording(definitions.LATENCY, short) if is_request else no_recording,
        recording(definitions.OPERATION_DURATION, full) if is_request else no_recording,
        recording(definitions.ERRORS, {**short, definitions.ERROR: error}) if is_failure else no_recording,
        recording(definitions.FEATURE_USES, use) if feature else no_recording,
        feature,
    )


def _parent(meta: Mapping[str, Any] | None) -> otel_context.Context | None:
    """Return the client's context, None for the current one."""
    carrier = {
        key: value
        for key in ("traceparent", "tracestate", "baggage")
        if meta and isinstance(value := meta.get(key), str)
    }
    return propagate.extract(carrier) if "traceparent" in carrier else None


def _type_of(error: BaseException) -> str:
    """Return JSON-RPC's code of an error as text, or its class's name."""
    code = getattr(getattr(error, "error", None), "code", None)
    return str(code) if isinstance(code, int) else type(error).__name__
