"""What happens to one text attribute: dropped, hashed, kept, cut to an excerpt, or redacted.

The engine's SQL decides and hashes whole columns; this module redacts the few texts that its search hits, and
`Sanitizer.attribute` states in Python what that SQL does, for tests to compare.

Guarantees that nothing a pattern finds and its check confirms is left, that redacting twice changes nothing
more, that the time taken grows with the length of a text and not with its square, and that content is in no
exception.
Does not find what no pattern describes: docs/privacy.md says what that is.
"""

import hashlib
import hmac
import re
import shlex
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson
import re2

from receiver.checks import CHECKS
from receiver.rules import Label, Pattern, Rules

Counts: TypeAlias = MutableMapping[str, int]
"""Redactions by the name of their rule."""

MAX_MATCHES: Final = 5000
MAX_REFUSED_SHARE: Final = 4
"""How many matches of one pattern are looked at in one text, and how often those that its check refuses may
cover it. What then is left of the text is redacted as a whole: a text made to be searched for long costs a
bounded time, and what was not searched is not stored."""

MAX_PASSES: Final = 4
MAX_SET: Final = 16_384
"""Bytes up to which one pass finds which patterns match. The state it needs grows with the variety of a text;
past this, a pass for each pattern is no slower and takes the same time for every text."""
MAX_NAME: Final = 64
MAX_LABEL: Final = 200
MAX_COMMAND: Final = 1000
"""Characters. A name is remembered; a longer label is content; a command's program is looked for in its beginning."""


class Sanitizer:
    """Applies `rules`. With `hash_key` hashes are HMACs, which cannot be found by trying without the key."""

    def __init__(self, rules: Rules, hash_key: str | None) -> None:
        self.rules = rules
        self._hash_key = hash_key.encode() if hash_key else None
        markers = frozenset(_marker(pattern.name) for pattern in rules.patterns)
        self._searches = tuple(_Search(pattern, markers) for pattern in rules.patterns)
        self._which = _which(rules.patterns)
        # The same few programs, servers and skills come again and again.
        self._is_clean = lru_cache(_MOST_NAMES)(lambda name: self._redact("", name, {}) == name)

    def attribute(self, key: str, text: str, counts: Counts) -> str | None:
        """Decide what is stored for a text attribute, None for nothing. `counts` takes the redactions."""
        rules = self.rules
        if key in rules.drop_keys:
            return None
        if key in rules.hash_keys:
            return self.hashed(text)
        if key in rules.safe_keys:
            return text
        redacted = self.redact_attribute(key, text, counts)
        return self.excerpt(redacted) if key in rules.excerpt_keys else redacted

    def redact(self, text: str, counts: Counts) -> str:
        """Replace every match with `[REDACTED:name]` and count each under its name in `counts`."""
        return self._redact("", text, counts)

    def redact_attribute(self, key: str, text: str, counts: Counts) -> str:
        """Redact `text` as the value of `key`: a key that says `password` makes the whole value one."""
        return self._redact(f"{key}=", text, counts)

    def hashed(self, text: str) -> str:
        """Hash to `sha256:` or `hmac-sha256:` and 64 hex digits; nothing stays nothing."""
        if not text:
            return ""
        data = text.encode("utf-8", "replace")
        if self._hash_key is None:
            return f"sha256:{hashlib.sha256(data).hexdigest()}"
        return f"hmac-sha256:{hmac.digest(self._hash_key, data, 'sha256').hex()}"

    def excerpt(self, text: str) -> str:
        """Cut redacted text to its first line and the length in the rules; `…` stands for the rest."""
        line = text.partition("\n")[0].partition("\r")[0][: self.rules.excerpt_length]
        return line if len(line) == len(text) else f"{line}…"

    def labels(self, key: str, text: str, counts: Counts) -> dict[str, str]:
        """Take the harmless fields, redacted, from a JSON object, as `key.label`; none if it is not one."""
        wanted = self.rules.extract.get(key)
        if not wanted:
            return {}
        try:
            fields: Any = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return {}
        found: dict[str, str] = {}
        for label in wanted if isinstance(fields, dict) else ():
            value = fields.get(label.name)
            kept = self._label(label, value, counts) if isinstance(value, str) else ""
            if kept:
                found[f"{key}.{label.name}"] = kept
        return found

    def _label(self, label: Label, value: str, counts: Counts) -> str:
        if label.take == "first_word":
            plain = _PLAIN_COMMAND.match(value)
            if plain and plain[1] not in _PREFIXES and self._is_clean(plain[1]):
                return plain[1]
            # Redacted first, as a path or a secret is known by what stands around it. Not counted, because
            # all but the program is hashed, not stored.
            return _program(self.redact(value[:MAX_COMMAND], {}))
        if len(value) <= MAX_NAME and self._is_clean(value):
            return value
        return self.redact(value, counts) if len(value) <= MAX_LABEL else ""

    def _redact(self, prefix: str, text: str, counts: Counts) -> str:
        """Search until nothing is found, since a replacement can bring a neighbour to light."""
        if not text or not self._searches:
            return text
        # RE2 and its offsets count bytes. A lone surrogate, which no UTF-8 can hold, becomes `?`.
        data = f"{prefix}{text}".encode("utf-8", "replace")
        floor = len(prefix.encode("utf-8", "replace"))
        for _ in range(MAX_PASSES):
            before = data
            for index in self._likely(data):
                data = self._searches[index].replace(data, floor, counts)
            if data is before:
                break
        return data[floor:].decode()

    def _likely(self, data: bytes) -> Iterable[int]:
        """List the patterns that can match, in their order."""
        found = self._which(data) if len(data) <= MAX_SET else ()
        # The last one matches always: its absence says that the set ran out of memory, as if nothing were found.
        every = len(self._searches)
        return sorted(found)[:-1] if every in found else range(every)


def _which(patterns: Sequence[Pattern]) -> Callable[[bytes], Sequence[int]]:
    """Make what lists the patterns that a text matches, and after them, always, their number."""
    options = re2.Options()
    options.max_mem = 32 << 20
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern.regex)
    found.Add("")
    found.Compile()
    # As in _Search: what Set.Match() calls below its Python.
    return found._set.Match  # type: ignore[no-any-return]  # noqa: SLF001


class _Search:
    """One pattern, ready to be replaced in a text."""

    def __init__(self, pattern: Pattern, markers: frozenset[bytes]) -> None:
        self._name = pattern.name
        self._marker = _marker(pattern.name)
        compiled = re2.compile(pattern.regex.encode())
        # What Pattern.search() calls below its Python, which costs three times the search.
        self._find = compiled._regexp.Match  # noqa: SLF001
        self._find_in_ascii = _in_latin_1(pattern.regex) or self._find
        self._group = compiled.groups
        self._check = CHECKS[pattern.check] if pattern.check else None
        self._markers = markers
        self._longest = max(map(len, markers))

    def replace(self, data: bytes, floor: int, counts: Counts) -> bytes:
        """Put the marker for each match, leaving what stands before `floor`, which is the key."""
        pieces: list[bytes] = []
        copied = position = matches = refused = 0
        marked = b"[REDACTED:" in data
        check = self._check
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
            if matches > MAX_MATCHES or refused > MAX_REFUSED_SHARE * max(len(data), 4096):
                confirmed, start, end = True, max(first, floor), len(data)
            elif first < floor:
                # The key itself names a secret, so all of its value is one, not its first word alone.
                confirmed = check is None or check(data, start, end) or check(data, floor, len(data))
                start, end = floor, len(data)
            else:
                confirmed = check is None or check(data, start, end)
            if not confirmed:
                position = _word_end(data, first)
                refused += last - first
                continue
            pieces += (data[copied:start], self._marker)
            # Not the end of the match: what follows the group may be the beginning of the next match.
            copied = position = end
        if not pieces:
            return data
        counts[self._name] = counts.get(self._name, 0) + len(pieces) // 2
        return b"".join((*pieces, data[copied:]))

    def _inside_marker(self, data: bytes, start: int, end: int) -> int:
        """Where the marker that holds data[start:end] ends, 0 if none does."""
        opening = data.rfind(b"[REDACTED:", max(0, start - self._longest), start + len(b"[REDACTED:"))
        closing = data.find(b"]", opening, opening + self._longest) + 1 if opening >= 0 else 0
        return closing if closing >= end and data[opening:closing] in self._markers else 0


def _in_latin_1(regex: str) -> Callable[..., Any] | None:
    """Compile a pattern for texts of ASCII alone, on which it means the same, None where it cannot be.

    A class of all letters is hundreds of ranges of bytes in UTF-8, and a few in Latin-1, which is searched faster.
    """
    if not regex.isascii():
        return None
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return re2.compile(regex.encode(), options)._regexp.Match  # type: ignore[no-any-return]  # noqa: SLF001
    except re2.error:
        return None


_MOST_NAMES: Final = 4096
_ANYWHERE: Final = re2._re2.RE2.Anchor.UNANCHORED  # noqa: SLF001
_NOWHERE: Final = (-1, -1)


def _marker(name: str) -> bytes:
    return f"[REDACTED:{name}]".encode()


def _word_end(data: bytes, start: int) -> int:
    """Where the search goes on after a refusal; at the next letter it would find the same match's tail."""
    found = _NO_WORD.search(data, start + 1)
    return found.start() if found else len(data)


def _program(command: str) -> str:
    """Name the program that a shell command runs first, "" when that cannot be told for sure."""
    words = shlex.shlex(command, posix=True)
    words.whitespace_split = True
    words.commenters = ""
    try:
        for word in words:
            name, assigned, value = word.partition("=")
            if assigned and _VARIABLE.fullmatch(name):
                # A substitution can hold blanks outside quotes, so the next word may be a part of it.
                if "$(" in value or "`" in value:
                    return ""
            elif word not in _PREFIXES:
                program = word.rpartition("/")[2]
                return program if _PROGRAM.fullmatch(program) else ""
    except ValueError:  # an unclosed quote
        return ""
    return ""


_NO_WORD: Final = re2.compile(b"[^0-9A-Za-z]")
# What most commands begin with: a short word and a blank. It is matched at the text's start, so in no time.
_PLAIN_COMMAND: Final = re.compile(r"([A-Za-z][A-Za-z0-9._+-]{0,30})(?:\s|\Z)")
_PREFIXES: Final = frozenset({"sudo", "env"})
_VARIABLE: Final = re2.compile("[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM: Final = re2.compile("[A-Za-z0-9._+][A-Za-z0-9._+-]{0,99}")
