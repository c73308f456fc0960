"""What happens to one text attribute: dropped, hashed, kept, cut to an excerpt, or redacted.

The engine's SQL decides and hashes whole columns; this module redacts the few texts that its search hits, and
`Sanitizer.attribute` states in Python what that SQL does, for tests to compare.

Guarantees that nothing a pattern finds and its check confirms is left, that redacting twice changes nothing more,
that the time taken grows with the length of a text and not with its square, and that content is in no exception.
Does not find what no pattern describes: docs/privacy.md says what that is.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import shlex
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import orjson
import re2

from receiver.rules import Check, Label, Pattern, Rules

MAX_REFUSALS: Final = 10_000
MAX_REFUSED_SHARE: Final = 4
"""How many matches of one pattern its check may refuse in one text, and how often their length may cover the
text. From then on every match is redacted unchecked: a text made to be searched for long costs a bounded time,
and what was not checked is not stored."""

MAX_PASSES: Final = 4
MAX_LABEL: Final = 200
"""Characters. A longer label is content."""


class Sanitizer:
    """Applies `rules`. With `hash_key` hashes are HMACs, which nobody can find out by trying without the key."""

    def __init__(self, rules: Rules, hash_key: str | None) -> None:
        self._rules = rules
        self._hash_key = hash_key.encode() if hash_key else None
        markers = frozenset(_marker(pattern.name) for pattern in rules.patterns)
        self._searches = tuple(_Search(pattern, markers) for pattern in rules.patterns)
        self._which = re2.Set.SearchSet()
        for pattern in rules.patterns:
            self._which.Add(pattern.regex)
        # Matches always. Its absence from a result says that the set gave up, which it does by finding nothing.
        self._sentinel = self._which.Add("")
        self._which.Compile()

    def attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str | None:
        """What is stored for a text attribute, None for nothing at all. Redactions are added to `counts`."""
        rules = self._rules
        if key in rules.drop_keys:
            return None
        if key in rules.hash_keys:
            return self.hashed(text)
        if key in rules.safe_keys:
            return text
        redacted = self.redact_attribute(key, text, counts)
        return self.excerpt(redacted) if key in rules.excerpt_keys else redacted

    def redact(self, text: str, counts: MutableMapping[str, int]) -> str:
        """`text` with every match replaced by `[REDACTED:name]`, each counted under its name in `counts`."""
        return self._redact("", text, counts)

    def redact_attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str:
        """`text` redacted as the value of `key`: a key that says `password` makes the whole value one."""
        return self._redact(f"{key}=", text, counts)

    def hashed(self, text: str) -> str:
        """`sha256:` or `hmac-sha256:` and 64 hex digits; nothing stays nothing."""
        if not text:
            return ""
        data = text.encode("utf-8", "replace")
        if self._hash_key is None:
            return f"sha256:{hashlib.sha256(data).hexdigest()}"
        return f"hmac-sha256:{hmac.digest(self._hash_key, data, 'sha256').hex()}"

    def excerpt(self, text: str) -> str:
        """The first line, cut to the length in the rules, with `…` for what is left out. Takes redacted text."""
        line = text.partition("\n")[0].partition("\r")[0][: self._rules.excerpt_length]
        return line if len(line) == len(text) else f"{line}…"

    def labels(self, key: str, text: str, counts: MutableMapping[str, int]) -> dict[str, str]:
        """The harmless fields in the JSON object `text`, redacted, as `key.label`; none if it is not one."""
        wanted = self._rules.extract.get(key)
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

    def _label(self, label: Label, value: str, counts: MutableMapping[str, int]) -> str:
        kept = _program(value) if label.take == "first_word" else value
        # Before the redaction too, so that a long value costs nothing.
        if len(kept) > MAX_LABEL:
            return ""
        kept = self.redact(kept, counts)
        return kept if len(kept) <= MAX_LABEL else ""

    def _redact(self, prefix: str, text: str, counts: MutableMapping[str, int]) -> str:
        """Repeats until nothing is found, since a replacement can bring a neighbour to light."""
        if not text or not self._searches:
            return text
        # RE2 and its offsets count bytes. A lone surrogate, which no UTF-8 can hold, becomes `?`.
        data = f"{prefix}{text}".encode("utf-8", "replace")
        floor = len(prefix.encode("utf-8", "replace"))
        for _ in range(MAX_PASSES):
            before = data
            found = self._which.Match(data)
            for index in found if self._sentinel in found else range(self._sentinel):
                if index != self._sentinel:
                    data = self._searches[index].replace(data, floor, counts)
            if data == before:
                break
        return data[floor:].decode()


class _Search:
    """One pattern, ready to be replaced in a text."""

    def __init__(self, pattern: Pattern, markers: frozenset[bytes]) -> None:
        self._name = pattern.name
        self._regex = re2.compile(pattern.regex.encode())
        self._group = self._regex.groups
        self._check = CHECKS[pattern.check] if pattern.check else None
        self._markers = markers
        self._longest = max(map(len, markers))

    def replace(self, data: bytes, floor: int, counts: MutableMapping[str, int]) -> bytes:
        """`data` with the marker for each match, leaving what stands before `floor`, the attribute's key."""
        pieces: list[bytes] = []
        copied = position = refusals = refused_bytes = 0
        check = self._check
        while match := self._regex.search(data, position):
            first, last = match.span()
            start, end = match.span(self._group)
            if start == end or end <= floor:
                position = max(last, first + 1)
                continue
            if past := self._inside_marker(data, start, end):
                position = past
                continue
            if check and not check(data, start, end):
                position = _word_end(data, first)
                refusals += 1
                refused_bytes += last - first
                if refusals > MAX_REFUSALS or refused_bytes > MAX_REFUSED_SHARE * len(data):
                    check = None
                continue
            if first < floor:
                # The key itself names a secret, so all of its value is one, not its first word alone.
                start, end = floor, len(data)
            pieces += (data[copied:start], _marker(self._name))
            counts[self._name] = counts.get(self._name, 0) + 1
            # Not the end of the match: what follows the group may be the beginning of the next match.
            copied = position = end
        return b"".join((*pieces, data[copied:])) if pieces else data

    def _inside_marker(self, data: bytes, start: int, end: int) -> int:
        """Where the marker that holds data[start:end] ends, 0 if none does."""
        opening = data.rfind(b"[REDACTED:", max(0, start - self._longest), start + len(b"[REDACTED:"))
        closing = data.find(b"]", opening, opening + self._longest) + 1 if opening >= 0 else 0
        return closing if closing >= end and data[opening:closing] in self._markers else 0


def _marker(name: str) -> bytes:
    return f"[REDACTED:{name}]".encode()


def _word_end(data: bytes, start: int) -> int:
    """Where the search goes on after a refusal; at the next letter it would find the same match's tail."""
    found = _NO_WORD.search(data, start + 1)
    return found.start() if found else len(data)


def _program(command: str) -> str:
    """The name of the program that a shell command runs first, "" when that cannot be told for sure."""
    words = shlex.shlex(command[:1000], posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.commenters = ""
    try:
        for word in words:
            name, assigned, value = word.partition("=")
            if assigned and _VARIABLE.fullmatch(name):
                # A substitution can hold blanks outside quotes, so the next word may be a part of it.
                if "$(" in value or "`" in value:
                    return ""
            elif word not in {"sudo", "env"}:
                program = word.rpartition("/")[2]
                return program if _PROGRAM.fullmatch(program) else ""
    except ValueError:  # an unclosed quote
        return ""
    return ""


_NO_WORD: Final = re2.compile(b"[^0-9A-Za-z]")
_VARIABLE: Final = re2.compile("[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM: Final = re2.compile("[A-Za-z0-9._+][A-Za-z0-9._+-]*")

# ---------------------------------------------------------------------------------------------------------------
# Checks: each is given the text and where the part to be replaced stands in it, and says whether to replace it.
# They look at a bounded stretch around that part.

_DIGITS: Final = frozenset(b"0123456789")


def _digits(data: bytes) -> bytes:
    return bytes(byte for byte in data if byte in _DIGITS)


def _before(data: bytes, start: int, length: int = 32) -> bytes:
    return data[max(0, start - length) : start].lower()


_CARD_LENGTHS: Final[Mapping[int, range]] = {
    ord("2"): range(16, 17),
    ord("3"): range(14, 17),
    ord("4"): range(13, 20, 3),
    ord("5"): range(16, 17),
    ord("6"): range(16, 20),
}


def _luhn(data: bytes, start: int, end: int) -> bool:
    """A card number by its check digit (ISO/IEC 7812-1), and not the fraction of a decimal number."""
    digits = _digits(data[start:end])
    if len(digits) not in _CARD_LENGTHS.get(digits[0], ()) or _DECIMAL.search(
        data[max(0, start - 2) : start]
    ):
        return False
    total = 0
    for place, byte in enumerate(reversed(digits)):
        digit = byte - ord("0")
        total += digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)  # noqa: PLR2004
    return total % 10 == 0


_DECIMAL: Final = re2.compile(rb"[0-9]\.$")


def _ssn(data: bytes, start: int, end: int) -> bool:
    """A number that can have been given out (ssa.gov/employer/randomization.html), named or with its dashes."""
    digits = _digits(data[start:end])
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in {b"000", b"666"} or area >= b"900" or group == b"00" or serial == b"0000":
        return False
    if data[start:end].count(b"-") == 2:  # noqa: PLR2004
        return not (_JOINED_LEFT.search(_before(data, start)) or _JOINED_RIGHT.match(data[end : end + 2]))
    return bool(_SSN_NAME.search(_before(data, start)))


_JOINED_LEFT: Final = re2.compile(rb"[0-9a-z][-.+]$")
_JOINED_RIGHT: Final = re2.compile(rb"[-.+][0-9A-Za-z]")
_SSN_NAME: Final = re2.compile(rb"ssn|social[ _-]?security")


def _phone(data: bytes, start: int, end: int) -> bool:
    """As many digits as a number of its kind has, and not a part of something longer."""
    text = data[start:end]
    digits = _digits(text)
    if _PHONE_LEFT.search(_before(data, start)) or _JOINED_RIGHT.match(data[end : end + 2]):
        return False
    if text.startswith(b"+1"):
        return len(digits) == 11  # noqa: PLR2004
    if text.startswith(b"+"):
        # Without blanks a short one is more likely a sum or an offset.
        return (10 if text[1:].isdigit() else 8) <= len(digits) <= 15  # noqa: PLR2004
    # Three columns of numbers look like a phone number written with blanks only.
    return any(sign in text for sign in b"-.(")


_PHONE_LEFT: Final = re2.compile(rb"(?:^|[^\\])[nrt]$|[a-mo-qsu-z0-9_.+/@$%)-]$")


def _ipv4(data: bytes, start: int, end: int) -> bool:
    """An address of a machine: not loopback, a netmask or a network, and not a version of four parts."""
    try:
        address = ipaddress.IPv4Address(data[start:end].decode())
    except ValueError:
        return False
    if address.is_loopback or data[start:end].endswith(b".0.0.0") or data[start:end].startswith(b"255."):
        return False
    after = data[end : end + 2]
    return not (_VERSION_LEFT.search(_before(data, start)) or _VERSION_RIGHT.match(after))


_VERSION_LEFT: Final = re2.compile(
    rb"(?:[0-9]\.|[a-z0-9][-_]|\bso\.|[=<>~!]=|[\^~]|[a-z]/|\bv\.?"
    rb"""|(?:version|ver|release|revision|rev|build|firmware|section|chapter|clause)(?: is)?["'\s:=(\\>]{0,5}v?)$"""
)
_VERSION_RIGHT: Final = re2.compile(rb"\.[0-9]|[-+_][A-Za-z]")


def _ipv6(data: bytes, start: int, end: int) -> bool:
    """An address of a machine: valid, not loopback, and no slice, C++ name or fingerprint of hex pairs."""
    text = data[start:end].decode()
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    groups = [group for group in text.split(":") if group]
    telling = len(groups[0]) >= 3 or len(groups) >= 4 if "::" in text else max(map(len, groups)) >= 3  # noqa: PLR2004
    if address.is_loopback or not telling or not any(character.isdigit() for character in text):
        return False
    return not (_HEX_LEFT.search(_before(data, start)) or _HEX_RIGHT.match(data[end : end + 2]))


_HEX_LEFT: Final = re2.compile(rb"(?:^|[^\\])[nrt]$|[a-mo-qsu-z0-9_:.-]$")
_HEX_RIGHT: Final = re2.compile(rb"[0-9A-Za-z_]|:[0-9A-Za-z:]")


def _email(data: bytes, start: int, end: int) -> bool:
    """A person's address: no robot, git remote, package version, picture scale or systemd unit."""
    address = data[max(0, start - 64) : end].lower()
    local, _, domain = address.replace(b"%40", b"@").replace(b"\\u0040", b"@").rpartition(b"@")
    return not (_ROBOT.search(local) or _NO_DOMAIN.search(domain))


_ROBOT: Final = re2.compile(rb"(?:^|[^a-z0-9._%+-])(?:git|hg|svn|no-?reply|do-?not-?reply|mailer-daemon)$")
_NO_DOMAIN: Final = re2.compile(
    rb"^v?[0-9]+\.[0-9]|^[0-9]x\.[a-z]+$|\.(?:service|socket|timer|mount|slice|scope|target|png|jpe?g|gif|svg|webp)$"
)


def _home(data: bytes, start: int, end: int) -> bool:
    """A person's folder: not one that every machine has, a variable, or a page of a web site."""
    name = data[start:end].lower()
    if name in _EVERYBODY or name.startswith((b"$", b".")):
        return False
    path = _LAST_WORD.search(data[max(0, start - 200) : start]).group()
    return not _WEB_PAGE.search(path)


_EVERYBODY: Final = frozenset(
    b"user username name you shared public default all_users runner runneradmin vscode node ubuntu debian coder "
    b"ec2-user linuxbrew codespace gitpod jovyan app".split()
)
_LAST_WORD: Final = re2.compile(rb"""[^\s"'`<>(),;=\[\]]*$""")
_WEB_PAGE: Final = re2.compile(rb"(?i)https?://|^(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/")


def _credential(data: bytes, start: int, end: int) -> bool:
    """What follows Authorization, Bearer or Basic, when it is no English word."""
    text = data[start:end]
    if _before(data, start).rstrip().endswith(b"basic"):
        try:
            return b":" in base64.b64decode(text + b"=" * (-len(text) % 4))
        except binascii.Error:
            return False
    return len(text) >= 20 or not _DIGITS.isdisjoint(text)  # noqa: PLR2004


def _secret(data: bytes, start: int, end: int) -> bool:
    """A value, where a placeholder, a variable, a type, an expression or an English word could stand."""
    value = data[start:end].strip(b"\"'\\")
    before = _before(data, start)
    named = _SECRET_NAME.search(before)
    name = named.group(1) if named else b""
    lowered = value.lower().rstrip(b".!?")
    if len(value) < 3 or lowered in _NO_SECRET or _PLACEHOLDER.search(value):  # noqa: PLR2004
        return False
    quoted = before.endswith((b'"', b"'")) or data[start:end] != value
    if not quoted and (_EXPRESSION.search(value) or (_PATH.search(lowered) and lowered.endswith(name))):
        return False
    if name == b"pwd":
        return not value.startswith((b"/", b"~", b"."))
    if name == b"pass":
        return not value.isdigit()
    if name in {b"token", b"secret", b"credential", b"credentials"} and not (quoted and name == b"secret"):
        # These are words of every text on programming, while a real one is long or has digits in it.
        tight = before.endswith(b"=") or before.endswith(b">")
        return tight or len(value) >= 16 or (_WORDS.search(value) is None and len(value) >= 6)  # noqa: PLR2004
    return True


_SECRET_NAME: Final = re2.compile(rb"([a-z]+)[^a-z]*$")
_PLACEHOLDER: Final = re2.compile(
    rb"^(?:\$\{.*|\$\(.*|\$[A-Za-z_][A-Z0-9_]*|%[({A-Za-z].*|[{<\[].*|[*x.X_=-]+|[^0-9A-Za-z\x80-\x{10FFFF}]*)$"
)
_EXPRESSION: Final = re2.compile(
    rb"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*[(\[]|^(?:os|self|this|process|env|cls)\."
)
_PATH: Final = re2.compile(rb"^[a-z_][a-z0-9_.-]*$")
_WORDS: Final = re2.compile(rb"^[A-Za-z_.:,-]*$")
_NO_SECRET: Final = frozenset(
    b"null none nil undefined true false yes no empty unset redacted hidden masked changeme your_password "
    b"str string bytes bool boolean int integer number float any object optional option secretstr unknown text "
    b"required incorrect invalid missing wrong must should is are was not expired field fields the a an and or "
    b"for from with this that await async new function lambda if else return input prompt".split()
)

CHECKS: Final[Mapping[Check, Callable[[bytes, int, int], bool]]] = {
    "credential": _credential,
    "email": _email,
    "home": _home,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "luhn": _luhn,
    "phone": _phone,
    "secret": _secret,
    "ssn": _ssn,
}
