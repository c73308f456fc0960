"""Names of OTLP as Prometheus has them: dots become underscores, and the unit and the kind become suffixes.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ and what Prometheus' own
OTLP receiver makes of names (github.com/prometheus/otlptranslator).
"""

import re
from collections.abc import Mapping
from typing import Final

_UNITS: Final[Mapping[str, str]] = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER: Final[Mapping[str, str]] = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_OTHER: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(name: str, unit: str, *, is_counter: bool, is_gauge: bool = False) -> str:
    """Return a metric's whole name: `http.server.duration` in `ms` is `http_server_duration_milliseconds`."""
    tokens = [token for token in _OTHER.split(name) if token]
    main, _, per = unit.partition("/")
    if (word := _unit(main, _UNITS)) and word not in tokens:
        tokens.append(word)
    if (word := _unit(per, _PER)) and word not in tokens:
        tokens += ["per", word]
    if is_counter:
        tokens = [*(token for token in tokens if token != "total"), "total"]  # noqa: S105  a word
    if is_gauge and unit == "1":
        tokens = [*(token for token in tokens if token != "ratio"), "ratio"]  # noqa: S105
    found = "_".join(tokens)
    return f"_{found}" if found[:1].isdigit() else found


def bare_name(name: str) -> str:
    """Return a metric's name without suffixes: `http.server.duration` is `http_server_duration`."""
    found = _NOT_NAME.sub("_", name)
    return f"_{found}" if found[:1].isdigit() else found


def label_name(key: str) -> str:
    """Return an attribute's key as a label; `selectors` writes the same in SQL."""
    found = _NOT_LABEL.sub("_", key)
    return f"key_{found}" if found[:1].isdigit() else found


def _unit(unit: str, words: Mapping[str, str]) -> str:
    """Return a unit as a word; one in braces is a remark, and no unit."""
    unit = unit.strip()
    if "{" in unit or "}" in unit:
        return ""
    return "_".join(token for token in _OTHER.split(words.get(unit, unit)) if token)
