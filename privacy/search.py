"""The search for what the patterns describe, in RE2: each match that its check confirms becomes `[REDACTED:name]`.

Guarantees that nothing a pattern finds and its check confirms is left, that a second search changes nothing more, and
that the time taken grows with the length of a text and not with its square.

The native pass does the same for usual texts (`native/src/redact.rs`), and is held to this module, which defines it.

RE2 is called below its Python, which costs three times the search: `_regexp.Match` and `_set.Match`, which are private
names of google-re2. A version without them is searched through its public names, as correct and slower;
tests/test_private_names.py fails for it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import re2

from privacy.checks import CHECKS, READERS
from privacy.folding import FOLDABLE, PARTING, Folded, readings
from privacy.letters import both_cases
from privacy.pairs import Spans
from privacy.rules import Pattern
from privacy.values import hides

Counts: TypeAlias = MutableMapping[str, int]
"""Redactions by the name of their rule."""

Find: TypeAlias = Callable[[Any, bytes, int, int], Sequence[tuple[int, int]]]
"""Finds the first match in data[start:end]; returns the spans of the match and of its groups, (-1, -1) for none."""

MAX_MATCHES: Final = 5000
MAX_REFUSED_SHARE: Final = 4
"""How many matches of one pattern are looked at in one text, and how often those that its check refuses may
cover it. Past that the rest of the text is redacted as a whole: a text made to be searched for long costs a
bounded time, and no text is stored that was not searched."""

MAX_SCANNED: Final = 4 << 20
"""Bytes that one pass over a text may look at more than once, in all patterns together: those that a search begins
again in, and those that a check reads around each match. Past it the rest of the text is redacted as a whole, by the
pattern at hand, and counted as `scan_budget` too. The same in every pass, so that another one changes nothing more."""

SCANNED_BY: Final[Mapping[str | None, int]] = {
    "command": 4096,
    "pair": 1024,
    "labelled": 1024,
    "kubernetes": 1024,
}
_SCANNED_BY_OTHERS: Final = 256
"""Bytes that a check reads around one match, each pattern of its own counted."""

MAX_PASSES: Final = 4
TOGETHER: Final = 20
"""Patterns that one pass looks for, by their prefilters. The states of all together would be the product of theirs."""

MAX_SET: Final = 16_384
"""Bytes up to which one pass finds which patterns match. The state it needs grows with the variety of a text;
past this, a pass for each pattern is no slower and takes the same time for every text."""

_MOST_SETS: Final = 1024


class Search:
    """All the patterns of a set of rules, ready to be searched for, in their order."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        markers = frozenset(_marker(pattern.name) for pattern in patterns)
        self._searches = tuple(_PatternSearch(pattern, markers) for pattern in patterns)
        self._which = tuple(
            _Which(patterns[first : first + TOGETHER], first) for first in range(0, len(patterns), TOGETHER)
        )

    def redact(self, prefix: str, text: str, counts: Counts) -> str:
        """Replace every match in `text`, which is searched behind `prefix`, and count each under its rule's name.

        The search is repeated until nothing is found, since a replacement can bring a neighbour to light.
        """
        if not text or not self._searches:
            return text
        # RE2 and its offsets count bytes. A lone surrogate, which no UTF-8 can hold, becomes `?`.
        key = prefix.encode("utf-8", "replace")
        data = text.encode("utf-8", "replace")
        if _folds(_ANYWHERE, data, 0, len(data))[0] == _NOWHERE:
            return self._searched(key, Folded(data, []), counts).data.decode()
        for _ in range(MAX_PASSES):
            before = data
            for reading in readings(data):
                data = self._searched(key, reading(data), counts).unfolded()
            if data == before:
                break
        return data.decode("utf-8", "replace")

    def _searched(self, key: bytes, text: Folded, counts: Counts) -> Folded:
        """Replace what is found in one reading of a text."""
        floor = len(key)
        for _ in range(MAX_PASSES):
            before = text.data
            data = key + before
            budget = Budget()
            for index in self._likely(data):
                spans, markers = self._searches[index].found(data, floor, counts, budget)
                if spans:
                    text.replace([(start - floor, end - floor) for start, end in spans], markers)
                    data = key + text.data
            if text.data is before:
                break
        return text

    def _likely(self, data: bytes) -> Iterable[int]:
        """List the patterns that can match, in their order."""
        if len(data) > MAX_SET:
            return range(len(self._searches))
        likely: list[int] = []
        for which in self._which:
            likely += which.likely(data)
        return likely


class _Which:
    """Some patterns, and which of them a text may match. `first` is the place of the first among all."""

    def __init__(self, patterns: Sequence[Pattern], first: int) -> None:
        self._first = first
        self._some = len(patterns)
        self._match = _which(patterns)
        # Few of the sets of patterns that there can be are found, over and over.
        self._places = lru_cache(_MOST_SETS)(self._places_of)

    def likely(self, data: bytes) -> Sequence[int]:
        """Return the places of the patterns that can match, in their order."""
        return self._places(*self._match(data))

    def _places_of(self, *found: int) -> Sequence[int]:
        # The last one matches always: its absence says that the set ran out of memory, as if nothing were found.
        some = sorted(found)[:-1] if self._some in found else range(self._some)
        return tuple(self._first + index for index in some)


class Budget:
    """What one pass over a text may still scan."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_SCANNED


class _PatternSearch:
    """One pattern, ready to be replaced in a text."""

    def __init__(self, pattern: Pattern, markers: frozenset[bytes]) -> None:
        self._name = pattern.name
        self._marker = _marker(pattern.name)
        compiled = re2.compile(pattern.regex.encode())
        self._find = find_in(compiled)
        self._find_in_ascii = _in_latin_1(pattern.regex) or self._find
        self._group = compiled.groups
        self._check = CHECKS.get(pattern.check) if pattern.check else None
        self._read = READERS.get(pattern.check) if pattern.check else None
        self._scanned_by_check = SCANNED_BY.get(pattern.check, _SCANNED_BY_OTHERS)
        self._markers = markers
        self._longest = max(map(len, markers))

    def found(
        self, data: bytes, floor: int, counts: Counts, budget: Budget
    ) -> tuple[list[tuple[int, int]], list[bytes]]:
        """Return the spans to replace and what to put there, none in the bytes before `floor`, which are the key."""
        spans_found: list[tuple[int, int]] = []
        markers: list[bytes] = []
        copied = position = matches = refused = furthest = 0
        marked = b"[REDACTED:" in data
        size = len(data)
        find = self._find_in_ascii if data.isascii() else self._find
        # No pattern matches nothing, so at the end there is nothing to find.
        while position < size and (spans := find(_ANYWHERE, data, position, size))[0] != _NOWHERE:
            first, last = spans[0]
            start, end = spans[self._group]
            if start == end or end <= floor:
                position = max(last, first + 1)
                continue
            if marked and (past := self._inside_marker(data, start, end)):
                position = past
                continue
            matches += 1
            budget.left -= max(0, furthest - position) + self._scanned_by_check
            furthest = max(furthest, last)
            found: Spans
            if budget.left < 0 or matches > MAX_MATCHES or refused > MAX_REFUSED_SHARE * max(len(data), 4096):
                found = ((max(first, floor), len(data)),)
                counts["scan_budget"] = counts.get("scan_budget", 0) + 1
            elif first < floor - 1:
                # The key itself names a secret, so all of its value is one, not its first word alone. The sign behind
                # it names nothing.
                found = ((floor, len(data)),) if self._whole_is_private(data, floor, start, end) else ()
            elif self._read:
                found = [span for span in self._read(data, start, end) if span[0] >= copied]
            else:
                found = ((start, end),) if self._check is None or self._check(data, start, end) else ()
            if not found:
                position = _word_end(data, first)
                refused += last - first
                continue
            for start, end in found:
                quote = _bare_in_json(data, start, end)
                spans_found.append((start, end))
                markers.append(quote + self._marker + quote)
                # Not the end of the match: what follows the group may be the beginning of the next match.
                copied = end
            position = max(copied, first + 1)
        if markers:
            counts[self._name] = counts.get(self._name, 0) + len(markers)
        return spans_found, markers

    def _whole_is_private(self, data: bytes, floor: int, start: int, end: int) -> bool:
        """Whether data[floor:], the value of the key before it, is private as a whole."""
        if self._read:
            return hides(data[: floor - 1].decode(), data[floor:].decode("utf-8", "replace"))
        return self._check is None or self._check(data, start, end) or self._check(data, floor, len(data))

    def _inside_marker(self, data: bytes, start: int, end: int) -> int:
        """Return where the marker that holds data[start:end] ends, 0 if none does."""
        opening = data.rfind(b"[REDACTED:", max(0, start - self._longest), start + len(b"[REDACTED:"))
        closing = data.find(b"]", opening, opening + self._longest) + 1 if opening >= 0 else 0
        return closing if closing >= end and data[opening:closing] in self._markers else 0


def find_in(compiled: Any) -> Find:
    """Return RE2's search for a compiled pattern, below its Python where this version has it."""
    private: Find | None = getattr(getattr(compiled, "_regexp", None), "Match", None)
    return private if private and _ANYWHERE is not None else find_publicly(compiled)


def find_publicly(compiled: Any) -> Find:
    """Return the same search through public names, for a version of google-re2 that lacks the private ones."""
    groups = range(compiled.groups + 1)

    def find(_: Any, data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
        found = compiled.search(data, start, end)
        return [found.span(group) for group in groups] if found else [_NOWHERE]

    return find


def _which(patterns: Sequence[Pattern]) -> Callable[[bytes], Sequence[int]]:
    """Return a function that lists the patterns that a text may match, and after them, always, their number."""
    options = re2.Options()
    options.max_mem = 32 << 20
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern.sought)
    found.Add("")
    found.Compile()
    private = getattr(getattr(found, "_set", None), "Match", None)
    return private or found.Match  # type: ignore[no-any-return]


def _in_latin_1(regex: str) -> Find | None:
    """Compile a pattern for texts of ASCII alone, on which it means the same; return None where it cannot be.

    A class of all letters is hundreds of ranges of bytes in UTF-8, and a few in Latin-1, which is searched faster.
    """
    if not regex.isascii():
        return None
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return find_in(re2.compile(regex.encode(), options))
    except re2.error:
        return None


def _marker(name: str) -> bytes:
    return f"[REDACTED:{name}]".encode()


def _bare_in_json(data: bytes, start: int, end: int) -> bytes:
    """Return the quotes that a number of JSON needs when a marker takes its place, none elsewhere."""
    if data[start - 1 : start] not in _BEFORE_BARE or not data[start:end].isalnum():
        return b""
    before = data[max(0, start - 16) : start]
    if before.rstrip()[-1:] in (b"[", b","):
        found = _JSON_LIST.search(data[max(0, start - 512) : start])
    else:
        found = _JSON_KEY.search(before)
    return bytes(found[1]) if found and data[end : end + 1] in _AFTER_BARE else b""


_BEFORE_BARE: Final = (b":", b" ", b"[", b",", b"\n")
_AFTER_BARE: Final = (b",", b"}", b"]", b" ", b"\n", b"\r")
_JSON_KEY: Final = re.compile(rb"(\\{0,7}\")[ \t]{0,4}:[ \t]{0,4}\Z")
_JSON_LIST: Final = re.compile(rb"(\\{0,7}\")\s{0,8}:\s{0,8}\[[^\[\]{}]{0,400}\Z")


def _word_end(data: bytes, start: int) -> int:
    """Return where the search goes on after a refusal; at the next letter it would find the same match's tail."""
    found = _NO_WORD.search(data, start + 1)
    return found.start() if found else len(data)


def sought(patterns: Sequence[Pattern]) -> list[str]:
    """Return what the engine looks for, in Hyperscan's syntax: a text without any of it is not searched in Python."""
    return [*(both_cases(pattern.sought) for pattern in patterns), *FOLDABLE, *PARTING] if patterns else []


def _anywhere() -> Any:
    try:
        return re2._re2.RE2.Anchor.UNANCHORED  # noqa: SLF001  see above
    except AttributeError:
        return None


_ANYWHERE: Final = _anywhere()
_NOWHERE: Final = (-1, -1)
_folds: Final = find_in(re2.compile("|".join((*FOLDABLE, *PARTING)).encode()))
_NO_WORD: Final = re2.compile(b"[^0-9A-Za-z]")
