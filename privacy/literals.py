"""The value at a place in a text: a string in quotes, escaped or not, or a run of characters up to a separator.

Every expression is matched at a place and looks at a bounded stretch, so that reading a value costs a bounded time.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_VALUE: Final = 4096
MAX_RUN: Final = 512
"""Bytes of a value in all, and of one without quotes in which every separator is looked at."""

LINE: Final = rb"(?:\r?\n|\\r\\n|\\n)(?>(?:[ \t]{0,8}[0-9]{1,6}(?:\t|\\t|\xe2\x86\x92))?)[+-]?"
"""The beginning of the next line, also in JSON text, behind a line's number and the sign of a diff."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value's place, and whether it stands in quotes, where no expression can."""

    start: int
    end: int
    is_quoted: bool


def literal_at(data: bytes, place: int) -> Literal | None:
    """Return the value that begins at a place, None where there is none."""
    lead = (
        _LEAD.match(data, place)
        if b"(" in data[place : place + 60] or data[place : place + 1] in _SIGNS
        else None
    )
    start = lead.end() if lead else place
    opening = _QUOTE.match(data, start)
    if opening:
        return _quoted(data, opening.end(), opening[1])
    end = _run_end(data, start)
    if data[start:end].endswith(b"..."):
        return Literal(start, end, is_quoted=False)
    while end > start and data[end - 1 : end] in b".:,;!?)]}":
        end -= 1
    return Literal(start, end, is_quoted=False) if end > start else None


def _quoted(data: bytes, start: int, quote: bytes) -> Literal | None:
    """Return what stands before the closing quote, which has as many backslashes as the opening one."""
    limit, place = start + MAX_VALUE, start
    sign, slashes = quote[-1:], len(quote.rstrip(b"\"'`"))
    while (found := data.find(sign, place, limit)) >= 0:
        before = found
        while before > start and data[before - 1 : before] == b"\\":
            before -= 1
        escapes = found - before
        # In a text that is escaped n times, a closing quote has 2^n - 1 backslashes, one inside has more.
        if escapes == slashes or (escapes < slashes) or (not slashes and escapes % 2 == 0):
            if sign == b"'" and data[found + 1 : found + 2].isalnum() and not escapes:
                place = found + 1
                continue
            end = found - min(escapes, slashes)
            line = data.find(b"\n", start, end)
            if line >= 0 and sign != b"`" and len(quote) == 1:
                break
            # What begins with a blank or a sign stands behind a closing quote, not in quotes.
            is_value = end > start and data[start : start + 1] not in _NO_BEGINNING
            return Literal(start, end, is_quoted=True) if is_value else None
        place = found + 1
    end = _run_end(data, start)
    return Literal(start, end, is_quoted=True) if end > start else None


def _run_end(data: bytes, start: int) -> int:
    """Return where a run of characters ends, which is looked at closely in its beginning alone."""
    run = _RUN.match(data, start, start + MAX_RUN)
    end = run.end() if run else start
    rest = _REST.match(data, end, start + MAX_VALUE) if end == start + MAX_RUN else None
    return rest.end() if rest else end


_SIGNS: Final = (b"!", b"&")
_NO_BEGINNING: Final = frozenset(bytes([byte]) for byte in b" \t\n)]},;:")
_LEAD: Final = re.compile(
    rb"(?:!!?[A-Za-z/:]{0,30}[ \t]+|&[A-Za-z0-9_]{1,30}[ \t]+)?"
    rb"(?:(?:new[ \t]+)?(?:[A-Za-z_]{0,20}Secret(?:Str|String|Bytes|Value)?|[Ss]tring|str|bytes|Buffer|Some|Ok|"
    rb"Token|Password|ENC"
    rb"|Credential|StringValue|base64\.b64decode|atob|kwargs\.get)(?:(?:::|\.)(?:from|new|of|"
    rb"valueOf))?\([ \t]*(?=[\\bfruN]{0,3}[\"'`]))?"
)
_QUOTE: Final = re.compile(rb"[bfruBFRUN@$&]{0,2}(\\{0,7}(?:\"{3}|'{3}|[\"'`])|\xe2\x80[\x9c\x98]|\xc2\xab)")
_REST: Final = re.compile(rb"[^\s\"'`<>\\,;&|)}\]\x1b]*")
_RUN: Final = re.compile(
    rb"(?:[^\s\"'`<>\\,;&|)}\]\x1b]|\\(?=[$!#&*()@%^{}])"
    rb"|[,;&|)}\]](?![\s\"'`\\)}\],;&|<>\x1b]|\Z|[\w.%-]{1,40}[\"']?[ \t]{0,4}[=:(]|//))+"
)
