"""Tokens that are known by what stands in their middle, such as Terraform's `.atlasv1.`.

A pattern of the rules finds the middle; here the token around it is measured. One that begins with a class of letters
would be looked for at every letter of a text.
"""

import re
from collections.abc import Sequence
from typing import Final

AROUND: Final = 100
"""Bytes before the middle in which a token begins."""


def inner_token(data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return where the token is that has data[start:end] in its middle, none if its form is another."""
    first = max(0, start - AROUND)
    for form in _FORMS:
        found = form.search(data, first, end + AROUND)
        if found and found.start() <= start < found.end() and _is_beginning(data, found.start()):
            return (found.span(),)
    return ()


def _is_beginning(data: bytes, start: int) -> bool:
    """Whether no word goes on there, but for the letter of an escaped line end or of a colour code."""
    return not data[start - 1 : start].isalnum() or bool(_PARTED.search(data, max(0, start - 12), start))


_PARTED: Final = re.compile(rb"(?:\\[nrt]|\[[0-9;]{0,9}m)\Z")
_FORMS: Final = tuple(
    re.compile(rb"(?:%b)(?![A-Za-z0-9])" % form)
    for form in (
        rb"[a-f0-9]{30,36}(?:FFFF)?NRAL",
        rb"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,100}",
        rb"[a-f0-9]{10}msh[a-f0-9]{15}p1[a-f0-9]{6}jsn[a-f0-9]{12}",
        rb"[A-Za-z0-9_]{6}_[A-Za-z0-9]{29}_mmk",
        rb"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}",
        rb"[A-Za-z0-9+/]{76}(?:APIM|ACDb|\+ABa|\+AMC|\+ASt)[A-Za-z0-9]{5}[AQgw]==",
        rb"[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{4}==",
        rb"[A-Za-z0-9]{42}AzSe[A-Za-z0-9]{6}",
        rb"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
        rb"[a-f0-9]{32}-us[0-9]{1,2}",
    )
)
