"""What happens to one text attribute: dropped, hashed, kept, cut to an excerpt, or redacted.

The engine's SQL decides and hashes whole columns; this module redacts the few texts that its search hits, and
`Sanitizer.attribute` states in Python what that SQL does, for tests to compare.

Guarantees that content is in no exception, and what `privacy.search`, which finds the patterns, guarantees.
Does not find what no pattern describes: docs/privacy.md says what that is.
"""

import hashlib
import hmac
import re
import shlex
from functools import lru_cache
from typing import Any, Final

import orjson
import re2

from privacy.rules import Label, Rules
from privacy.search import Counts, Search

MAX_NAME: Final = 64
MAX_COMMAND: Final = 1000
"""Characters. A longer label is content; a command's program is looked for in its beginning."""
NOT_SENT: Final = "<REDACTED>"
"""What Claude Code sends in place of a text that it was not told to send. A hash of it would look like a text's."""


class Sanitizer:
    """Applies `rules`. With `hash_key` hashes are HMACs, which cannot be found by trying without the key."""

    def __init__(self, rules: Rules, hash_key: str | None) -> None:
        self.rules = rules
        self._hash_key = hash_key.encode() if hash_key else None
        self._search = Search(rules.patterns)
        self._labels = {
            key: [(label.name, f"{key}.{label.name}", label) for label in labels]
            for key, labels in rules.extract.items()
        }
        # The same few programs, servers and skills come again and again.
        self._is_clean = lru_cache(_MOST_NAMES)(lambda name: self.redact(name, {}) == name)

    def attribute(self, key: str, text: str, counts: Counts) -> str | None:
        """Decide what is stored for a text attribute, None for nothing. `counts` takes the redactions."""
        rules = self.rules
        if key in rules.drop_keys:
            return None
        if key in rules.hash_keys:
            return self.hashed(text)
        if key in rules.safe_keys:
            return legible(text)
        redacted = self.redact_attribute(key, text, counts)
        return self.excerpt(redacted) if key in rules.excerpt_keys else redacted

    def redact(self, text: str, counts: Counts) -> str:
        """Replace every match with `[REDACTED:name]` and count each under its name in `counts`."""
        return self._search.redact("", text, counts)

    def redact_attribute(self, key: str, text: str, counts: Counts) -> str:
        """Redact `text` as the value of `key`: a key that says `password` makes the whole value one."""
        return self._search.redact(f"{key}=", text, counts)

    def hashed(self, text: str) -> str:
        """Hash to `sha256:` or `hmac-sha256:` and 64 hex digits; nothing, and what says that it was left out, stays."""
        return text if text == NOT_SENT else self.hashed_bytes(text.encode("utf-8", "replace"))

    def hashed_bytes(self, data: bytes) -> str:
        """Hash bytes as `hashed` does a text."""
        if not data:
            return ""
        if self._hash_key is None:
            return f"sha256:{hashlib.sha256(data).hexdigest()}"
        return f"hmac-sha256:{hmac.digest(self._hash_key, data, 'sha256').hex()}"

    def excerpt(self, text: str) -> str:
        """Cut redacted text to its first line and the length in the rules; `…` marks a cut."""
        line = text.partition("\n")[0].partition("\r")[0][: self.rules.excerpt_length]
        return line if len(line) == len(text) else f"{line}…"

    def labels(self, key: str, text: str) -> dict[str, str]:
        """Take the harmless fields from a JSON object, as `key.label`; none if it is not one.

        A field that is no name, in which anything may be written, is hashed.
        """
        wanted = self._labels.get(key)
        if not wanted:
            return {}
        try:
            fields: Any = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return {}
        found: dict[str, str] = {}
        for field, name, label in wanted if isinstance(fields, dict) else ():
            if field in fields:
                value = fields[field]
                kept = self._label(label, value) if isinstance(value, str) else ""
                if kept:
                    found[name] = kept
        return found

    def _label(self, label: Label, value: str) -> str:
        if label.take == "first_word":
            plain = _PLAIN_COMMAND.match(value)
            if plain and plain[1] not in _PREFIXES and self._is_clean(plain[1]):
                return plain[1]
            # Redacted first, as a path or a secret is known by its surroundings. Not counted, because
            # all but the program is hashed, not stored.
            return _program(self.redact(value[:MAX_COMMAND], {}))
        if len(value) <= MAX_NAME and _LABEL.fullmatch(value) and self._is_clean(value):
            return value
        return self.hashed(value)


def legible(text: str) -> str:
    """Return a name or id with U+FFFD for each character that nothing shows, as the engine's otlp_legible does."""
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("\ufffd", text)


_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff"
    "\U000e0000-\U000e0fff]"
)
_MOST_NAMES: Final = 4096


def _program(command: str) -> str:
    """Name the program that a shell command runs first, "" when that is not certain."""
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


# What most commands begin with: a short word and a blank. It is matched at the text's start, so in no time.
_PLAIN_COMMAND: Final = re.compile(r"([A-Za-z][A-Za-z0-9._+-]{0,30})(?:\s|\Z)")
# A name in a program or a settings file, which has no blanks; Claude's own connectors have: `claude.ai Google Drive`.
_LABEL: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._:/@+-]*|claude\.ai [A-Za-z0-9._-]+(?: [A-Za-z0-9._-]+){0,3}", re.ASCII
)
_PREFIXES: Final = frozenset({"sudo", "env"})
_VARIABLE: Final = re2.compile("[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM: Final = re2.compile("[A-Za-z0-9._+][A-Za-z0-9._+-]{0,63}")
