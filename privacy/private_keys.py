"""Private keys: what a pattern of the rules found, or the private members of a JWK (RFC 7517), whose `kty` it found."""

import re
from collections.abc import Sequence
from typing import Final

AROUND: Final = 4096
"""Bytes before and behind `kty` in which the members of the same key are looked for."""


def private_key(data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return where the key at data[start:end] is, or where the private members of the JWK are that holds it."""
    if not data.startswith(b'"kty', start):
        return ((start, end),)
    first = data.rfind(b"{", max(0, start - AROUND), start)
    last = data.find(b"}", end, end + AROUND)
    found = _MEMBER.finditer(data, max(first, start - AROUND, 0), last if last >= 0 else end + AROUND)
    return [member.span(1) for member in found]


_MEMBER: Final = re.compile(
    rb"[\"'](?:d|p|q|dp|dq|qi|k)\\{0,7}[\"']\s{0,8}:\s{0,8}\\{0,7}[\"']([A-Za-z0-9_-]{16,4000})\\{0,7}[\"']"
)
