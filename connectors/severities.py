"""The names by which systems call severities, and the severity that a line's own text names."""

import re
from collections.abc import Mapping
from typing import Final

from connectors.contract import Severity

NAMES: Final[Mapping[Severity, tuple[str, ...]]] = {
    Severity.ERROR: (
        "error", "err", "fatal", "critical", "crit", "alert", "emergency", "emerg", "panic", "severe",
        "error2", "error3", "error4", "fatal2", "fatal3", "fatal4",
    ),
    Severity.WARN: ("warn", "warning", "warn2", "warn3", "warn4"),
    Severity.INFO: ("info", "information", "informational", "notice", "info2", "info3", "info4"),
    Severity.DEBUG: (
        "debug", "trace", "verbose", "fine", "finer", "finest", "debug2", "debug3", "debug4", "trace2", "trace3",
        "trace4",
    ),
}  # fmt: skip
"""The strongest first, in lower case: those of syslog, log4j, Java, zap and OpenTelemetry."""
_BY_NAME: Final = {name: severity for severity, names in NAMES.items() for name in names}
_IN_CAPITALS: Final = {
    Severity.ERROR: "ERROR|FATAL|CRITICAL|PANIC|SEVERE",
    Severity.WARN: "WARN|WARNING",
    Severity.INFO: "INFO|NOTICE",
    Severity.DEBUG: "DEBUG|TRACE",
}
PATTERNS: Final[Mapping[Severity, str]] = {
    severity: (
        rf"""(?i:\b(?:level|severity|severity_text|lvl|loglevel)["']?\s?[=:]\s?["']?(?:{"|".join(names)})\b)"""
        rf"|\b(?:{_IN_CAPITALS[severity]})\b"
    )
    for severity, names in NAMES.items()
}
"""Expressions, in RE2 and Python alike, of lines that name a severity: as a field, or as a word in capitals."""
_COMPILED: Final = {severity: re.compile(pattern) for severity, pattern in PATTERNS.items()}


def severity_of(name: str) -> Severity | None:
    """Return the severity of a name, None for none that is known."""
    return _BY_NAME.get(name.strip().lower())


def severity_in(message: str) -> Severity | None:
    """Return the strongest severity that a line's text names."""
    return next((severity for severity, pattern in _COMPILED.items() if pattern.search(message)), None)
