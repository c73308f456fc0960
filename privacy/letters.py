"""A pattern without regard to case, with both cases of its letters written out: `(?i)key` becomes `[kK][eE][yY]`.

Hyperscan takes half as long to compile the patterns so, and searches as fast. What the pattern finds stays the same,
except for the long s and the sign for kelvin, which `folding.FOLDABLE` finds. A pattern that holds anything but
letters, classes, plain groups, repeats and escaped signs is returned as it is.
"""

import re
from typing import Final

_ANY_CASE: Final = "(?i)"
# A class that begins with its own end, or holds a named class, ends later than it seems to.
_UNCLEAR: Final = re.compile(r"\[\^?\]|\[:")
_CLASS: Final = r"\[(?:\\.|[^\]\\])*\]"
_TOKEN: Final = re.compile(
    rf"(?P<letter>[A-Za-z])|(?P<folded>{_CLASS}|[^\x00-\x7f])"
    rf"|(?P<kept>\(\?-i:{_CLASS}\)|\(\?:|\((?!\?)|\{{[0-9,]*\}}|\\[bBdDsSnrt]|\\[^0-9A-Za-z]|[^\\(\[A-Za-z])",
    re.DOTALL,
)


def both_cases(pattern: str) -> str:
    """Return the pattern with both cases written out, or as it is where it has no regard to case, or is unclear."""
    if not pattern.startswith(_ANY_CASE) or _UNCLEAR.search(pattern):
        return pattern
    written: list[str] = []
    at = len(_ANY_CASE)
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            return pattern
        if token["letter"]:
            written.append(f"[{token[0].lower()}{token[0].upper()}]")
        else:
            written.append(f"(?i:{token[0]})" if token["folded"] else token[0])
        at = token.end()
    return "".join(written)
