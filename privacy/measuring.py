"""Whether the patterns of someone's own rules are cheap enough, tried on texts made of their own pieces.

The search is linear in a text and has a budget (`privacy.search`), but a pattern with large repeats can be a hundred
times slower than another. Each is tried on its own literal parts, interleaved and repeated, in CPU time of this thread.
Bundled patterns are measured by tests and not at each start.
"""

import re
import time
from typing import Final

from privacy.rules import Level, Pattern, Rules, RulesError, load_rules
from privacy.search import Search

SIZE: Final = 64 << 10
"""Bytes of a trial text."""
MAX_SECONDS: Final = 1.0
"""CPU time that one pattern may take for it: five times what the costliest of the bundled ones takes."""
_BETWEEN: Final = (" ", '="', ": a1 ", "\n")


def pieces_of(pattern: Pattern) -> list[str]:
    """Return the literal parts of a pattern, with what is likely to stand between them."""
    plain = re.sub(r"\\[a-zA-Z]|\[[^\]]*\]|\{[0-9,]+\}|\(\?[a-z]*:", " ", pattern.regex)
    found = re.findall(r"[^\s()|?*+\\^$]{2,}", plain)
    return [*dict.fromkeys(found)][:40] or ["0", "1.", "a"]


def seconds_of(pattern: Pattern, size: int = SIZE) -> float:
    """Return the CPU-seconds that the costliest of the pattern's trial texts takes."""
    search = Search([pattern])
    slowest = 0.0
    for between in _BETWEEN:
        unit = between.join(pieces_of(pattern)) + between
        text = (unit * (size // len(unit) + 1))[:size]
        begin = time.thread_time()
        search.redact("", text, {})
        slowest = max(slowest, time.thread_time() - begin)
    return slowest


def measure_own(rules: Rules) -> None:
    """Raise RulesError for patterns that take too long, of those that are not bundled ones."""
    bundled = load_rules(None, Level.strict).patterns
    own = [pattern for pattern in rules.patterns if pattern not in bundled]
    wrong = [
        f"the pattern {pattern.name} takes {seconds:.1f} s for {SIZE >> 10} KiB made of its own pieces, and"
        f" {MAX_SECONDS:g} s are allowed; write it more simply, without large or nested repeats"
        for pattern in own
        if (seconds := seconds_of(pattern)) > MAX_SECONDS
    ]
    if wrong:
        raise RulesError(wrong)
