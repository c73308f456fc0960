"""Events as OTLP requests, as the client sends them: the same scope, body and attributes, and a mark.

The mark `telemetry.imported` is a resource attribute and stands on every record, as the client copies its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from onboarding.history.event import Event, Value
from onboarding.history.files import NANOSECONDS

IMPORTED: Final = "telemetry.imported"
"""The attribute that marks every record of history."""
RECORDS: Final = 1000
"""About how many records a request holds."""
_SCOPE: Final = "com.anthropic.claude_code.events"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose history it is: the client's attributes of identity, and the resource's."""

    identity: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)


def requests(events: Iterable[Event], sender: Sender) -> Iterator[bytes]:
    """Yield serialized requests of about RECORDS events each."""
    request, count = ExportLogsServiceRequest(), 0
    groups: dict[str, int] = {}
    for event in events:
        if event.version not in groups:
            groups[event.version] = len(groups)
            group = request.resource_logs.add(resource=_resource(event.version, sender))
            scope = InstrumentationScope(name=_SCOPE, version=event.version)
            group.scope_logs.add(scope=scope)
        records = request.resource_logs[groups[event.version]].scope_logs[0].log_records
        records.add(
            time_unix_nano=event.time,
            observed_time_unix_nano=event.time,
            body=AnyValue(string_value=f"claude_code.{event.name}"),
            attributes=[_pair(key, value) for key, value in _attributes(event, sender).items()],
        )
        count += 1
        if count == RECORDS:
            yield request.SerializeToString()
            request, count, groups = ExportLogsServiceRequest(), 0, {}
    if count:
        yield request.SerializeToString()


def _resource(version: str, sender: Sender) -> Resource:
    values = dict(sender.resource) | {"service.name": "claude-code", IMPORTED: "true"}
    if version:
        values["service.version"] = version
    return Resource(attributes=[_pair(key, value) for key, value in values.items()])


def _attributes(event: Event, sender: Sender) -> dict[str, Value]:
    seconds, rest = divmod(event.time, NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return {
        **sender.resource,
        **sender.identity,
        IMPORTED: "true",
        "session.id": event.session,
        "event.name": event.name,
        "event.timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z",
        **event.attributes,
    }


def _pair(key: str, value: Value) -> KeyValue:
    if isinstance(value, str):
        # A text that was cut in the middle of a character cannot be encoded.
        return KeyValue(key=key, value=AnyValue(string_value=value.encode("utf-8", "replace").decode()))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))
