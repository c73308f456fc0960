"""The values of a Secret of Kubernetes, which are secrets under whatever names, in YAML and in JSON."""

import re
from collections.abc import Sequence
from typing import Final

from privacy.literals import LINE

AROUND: Final = 4096
"""Bytes before and behind `data:` in which the kind of the object is looked for, and in which its values are read."""


def secret_data(data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return where the values below `data:` or `stringData:` are, none if the object is no Secret."""
    if not _KIND.search(data, max(0, start - AROUND), end + AROUND):
        return ()
    is_flow = data[end - 1 : end] == b"{"
    reading = _PAIR if is_flow else _ENTRY
    limit = end + AROUND
    place = end if is_flow else max(start, end - 4)
    if not is_flow:
        line = _FIRST_LINE.search(data, place, end + 1)
        place = line.start() if line else end
    spans: list[tuple[int, int]] = []
    while found := reading.match(data, place, limit):
        if found.end(1) > found.start(1):
            spans.append(found.span(1))
        place = found.end()
    return spans


_KIND: Final = re.compile(rb"kind[\"'\\]{0,8}:[ \t]{0,4}[\"'\\]{0,8}Secret\b")
_FIRST_LINE: Final = re.compile(rb"\r?\n|\\r\\n|\\n")
_ENTRY: Final = re.compile(
    LINE + rb"(?:[ \t]+[A-Za-z0-9._-]{1,120}:[ \t]*[\"']?([^\s\"'\\]{0,4000})[\"']?[ \t]*|"
    rb"[ \t]*#[^\n\\]{0,200})(?=\Z|\r|\n|\\|\"|\x1b)"
)
_PAIR: Final = re.compile(
    rb"(?:[\s,]|\\[nrt]){0,40}[\"'\\]{1,8}[A-Za-z0-9._-]{1,120}[\"'\\]{1,8}[ \t]*:[ \t]*"
    rb"[\"'\\]{1,8}([^\"'\\\n]{0,4000})[\"'\\]{1,8}"
)
