"""The kinds of fault that are repaired in a request instead of refusing it, and what the client is told of them."""

from collections.abc import Mapping
from typing import Final

TOO_DEEP: Final = "[TOO DEEP]"
"""Stands where an array or a key-value list was cut off."""
MAX_DEPTH: Final = 88
"""An array or a key-value list that lies below so many nested messages is cut off, where a request has to be repaired.

Protobuf parsers stop at 100: https://protobuf.dev/programming-guides/proto-limits/#depth
"""
_SAID: Final = {
    "invalid_utf8": "places that are not UTF-8, stored as U+FFFD",
    "lone_surrogate": "halves of surrogate pairs, stored as U+FFFD",
    "not_json": "numbers or control characters that are not JSON, understood all the same",
    "too_deep": f"values that are nested too deep, cut off with {TOO_DEEP}",
}
"""What is said of each kind, before its count. The kinds are labels of the metric `telemetry_odd_records_total`."""


def described(repairs: Mapping[str, int]) -> str:
    """Return what was repaired, for a response's partial_success.error_message; empty when nothing was."""
    return "; ".join(f"{_SAID[kind]}: {count}" for kind, count in sorted(repairs.items()) if count)
