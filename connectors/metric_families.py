"""Metrics by their names, as Prometheus' naming conventions have them: families, types and units.

A system that stores no metadata (VictoriaMetrics by default, whatever is written remotely) knows only the names of
series. A histogram is then three names (`_bucket`, `_sum`, `_count`), which are one metric here, and types and units
are read from suffixes. Conventions: https://prometheus.io/docs/practices/naming/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.contract import MetricName

TYPES: Final[Mapping[str, str]] = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "gaugehistogram": "histogram",
    "summary": "summary",
    "info": "gauge",
    "stateset": "gauge",
}
"""The contract's types by OpenMetrics' names of them."""
UNITS: Final[Mapping[str, str]] = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "bytes": "By",
    "kilobytes": "kBy",
    "megabytes": "MBy",
    "kibibytes": "KiBy",
    "mebibytes": "MiBy",
    "bits": "bit",
    "ratio": "1",
    "percent": "%",
    "celsius": "Cel",
    "meters": "m",
    "volts": "V",
    "amperes": "A",
    "joules": "J",
    "watts": "W",
    "grams": "g",
    "hertz": "Hz",
}
"""UCUM codes by the words that end names."""
PARTS: Final = ("_bucket", "_count", "_sum")
"""The suffixes of a histogram's series."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a system says of a family: OpenMetrics' type, a unit in words, help."""

    type: str
    unit: str = ""
    help: str = ""


def families(names: Iterable[str], described: Mapping[str, Described], match: str) -> list[MetricName]:
    """Return the metrics of series' names, by name; only those that contain `match`."""
    every = set(names)
    found: dict[str, MetricName] = {}
    for name in every:
        family, kind = _family(name, every, described)
        if match not in family:
            family, kind = name, "counter"
        if match in family:
            found[family] = _metric(family, kind, described)
    return [found[name] for name in sorted(found)]


def unit_of(name: str) -> str:
    """Return the unit that a name ends with, as a UCUM code; empty for none."""
    for suffix in ("_total", *PARTS):
        name = name.removesuffix(suffix)
    return UNITS.get(name.rpartition("_")[2], "")


def _family(name: str, names: set[str], described: Mapping[str, Described]) -> tuple[str, str]:
    """Return the name of a series' metric, and its type as far as the parts of a histogram tell it."""
    if name in described:
        return name, ""
    for part in PARTS:
        base = name.removesuffix(part)
        if base == name:
            continue
        if (known := described.get(base)) and TYPES.get(known.type) in {"histogram", "summary"}:
            return base, ""
        if part == "_bucket" or f"{base}_bucket" in names:
            return base, "histogram"
        if all(f"{base}{other}" in names for other in ("_count", "_sum")):
            return base, "summary"
    if f"{name}_count" in names and f"{name}_sum" in names:
        return name, "summary"
    return name, ""


def _metric(name: str, kind: str, described: Mapping[str, Described]) -> MetricName:
    # OpenMetrics names a counter's family without the suffix of its series.
    said = described.get(name) or described.get(name.removesuffix("_total")) or Described("")
    unit = UNITS.get(said.unit, said.unit) or unit_of(name)
    return MetricName(name, TYPES.get(said.type) or kind or _type_of(name), unit, said.help)


def _type_of(name: str) -> str:
    if name.endswith("_total"):
        return "counter"
    if name.endswith(("_info", "_created")) or unit_of(name):
        return "gauge"
    return "unknown"
