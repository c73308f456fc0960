"""The processor that rotel runs in its own Python: hashes and redacts what `benchmarks.peer_rules` says.

rotel calls `process_spans` and `process_logs` with each ResourceSpans and ResourceLogs, whose objects are changed in
place (https://github.com/streamfold/rotel, "Python processor SDK"; PyPI's `rotel-sdk` has its types). Its wheel has
the interpreter's bindings in it, and no redaction of its own besides.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from rotel_sdk.open_telemetry.common.v1 import AnyValue

from benchmarks.peer_rules import HASHED, PATTERNS, SAFE

COMPILED = [(re.compile(pattern), f"[{name}]") for name, pattern in PATTERNS.items()]


def process_spans(group: Any) -> None:
    """Make a ResourceSpans private."""
    if group.resource is not None:
        attributes(group.resource.attributes)
    for scope in group.scope_spans:
        for span in scope.spans:
            attributes(span.attributes)
            for event in span.events:
                attributes(event.attributes)
            if span.status is not None and span.status.message:
                span.status.message = redact(span.status.message)


def process_logs(group: Any) -> None:
    """Make a ResourceLogs private."""
    if group.resource is not None:
        attributes(group.resource.attributes)
    for scope in group.scope_logs:
        for record in scope.log_records:
            attributes(record.attributes)
            if record.body is not None and isinstance(text := record.body.value, str):
                record.body = AnyValue(redact(text))


def attributes(pairs: Iterable[Any]) -> None:
    """Hash or redact the texts among attributes, as their keys ask for."""
    for pair in pairs:
        key = pair.key
        if key in SAFE or pair.value is None:
            continue
        value = pair.value.value
        if isinstance(value, str):
            private = hashlib.sha256(value.encode()).hexdigest() if key in HASHED else redact(value)
            if private != value:
                pair.value = AnyValue(private)


def redact(text: str) -> str:
    """Replace everything that looks private."""
    for pattern, replacement in COMPILED:
        text = pattern.sub(replacement, text)
    return text
