"""Ids of traces as logs have them: 128 bits, or the 64 that older clients write."""

import re
from typing import Final

_OF_64_BITS: Final = re.compile(r"0{16}([0-9a-f]{16})")
_ID: Final = re.compile(r"[0-9a-f]{1,32}")


def forms_of(trace_id: str) -> list[str]:
    """Return the forms in which lines may have an id: the shortest, which is a part of the others, at first."""
    short = _OF_64_BITS.fullmatch(trace_id)
    return [short[1], trace_id] if short else [trace_id]


def padded(text: str, digits: int) -> str:
    """Return a text as an id of so many hexadecimal digits; empty for one that is none."""
    plain = text.strip().lower()
    return plain.zfill(digits) if _ID.fullmatch(plain) and len(plain) <= digits and plain.strip("0") else ""
