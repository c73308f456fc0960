"""What happens to one text attribute: dropped, hashed, kept, cut to an excerpt, or redacted.

The engine's SQL decides and hashes whole columns; this module redacts the few texts that its search hits, and
`Sanitizer.attribute` states in Python what that SQL does, for tests to compare.

Guarantees that nothing a pattern finds and its check confirms is left, that redacting twice changes nothing
more, that the time taken grows with the length of a text and not with its square, and that content is in no
exception.
Does not find what no pattern describes: docs/privacy.md says what that is.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import shlex
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

import orjson
import re2

from receiver.rules import Check, Label, Pattern, Rules

MAX_MATCHES: Final = 5000
MAX_REFUSED_SHARE: Final = 4
"""How many matches of one pattern are looked at in one text, and how often those that its check refuses may
cover it. What then is left of the text is redacted as a whole: a text made to be searched for long costs a
bounded time, and what was not searched is not stored."""

MAX_PASSES: Final = 4
MAX_SET: Final = 16_384
"""Bytes up to which one pass finds which patterns match. The state it needs grows with the variety of a text;
past this, a pass for each pattern is no slower and takes the same time for every text."""
MAX_LABEL: Final = 200
MAX_COMMAND: Final = 1000
"""Characters. A longer label is content; a command's program is looked for in its beginning."""


class Sanitizer:
    """Applies `rules`. With `hash_key` hashes are HMACs, which cannot be found by trying without the key."""

    def __init__(self, rules: Rules, hash_key: str | None) -> None:
        self.rules = rules
        self._hash_key = hash_key.encode() if hash_key else None
        markers = frozenset(_marker(pattern.name) for pattern in rules.patterns)
        self._searches = tuple(_Search(pattern, markers) for pattern in rules.patterns)
        options = re2.Options()
        options.max_mem = 32 << 20
        self._which = re2.Set.SearchSet(options)
        for pattern in rules.patterns:
            self._which.Add(pattern.regex)
        # Matches always: its absence says that the set ran out of memory, which looks like finding nothing.
        self._sentinel = self._which.Add("")
        self._which.Compile()

    def attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str | None:
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

    def redact(self, text: str, counts: MutableMapping[str, int]) -> str:
        """Replace every match with `[REDACTED:name]` and count each under its name in `counts`."""
        return self._redact("", text, counts)

    def redact_attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str:
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

    def labels(self, key: str, text: str, counts: MutableMapping[str, int]) -> dict[str, str]:
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

    def _label(self, label: Label, value: str, counts: MutableMapping[str, int]) -> str:
        if label.take == "first_word":
            # Redacted first, as a path or a secret is known by what stands around it. Not counted, because
            # all but the program is hashed, not stored.
            return _program(self.redact(value[:MAX_COMMAND], {}))
        return self.redact(value, counts) if len(value) <= MAX_LABEL else ""

    def _redact(self, prefix: str, text: str, counts: MutableMapping[str, int]) -> str:
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
            if data == before:
                break
        return data[floor:].decode()

    def _likely(self, data: bytes) -> Iterable[int]:
        """List the patterns that can match, in their order."""
        found = self._which.Match(data) if len(data) <= MAX_SET else ()
        return sorted(found)[:-1] if self._sentinel in found else range(self._sentinel)


class _Search:
    """One pattern, ready to be replaced in a text."""

    def __init__(self, pattern: Pattern, markers: frozenset[bytes]) -> None:
        self._name = pattern.name
        self._marker = _marker(pattern.name)
        self._regex = re2.compile(pattern.regex.encode())
        self._group = self._regex.groups
        self._check = CHECKS[pattern.check] if pattern.check else None
        self._markers = markers
        self._longest = max(map(len, markers))

    def replace(self, data: bytes, floor: int, counts: MutableMapping[str, int]) -> bytes:
        """Put the marker for each match, leaving what stands before `floor`, which is the key."""
        pieces: list[bytes] = []
        copied = position = matches = refused = 0
        marked = b"[REDACTED:" in data
        check = self._check
        while match := self._regex.search(data, position):
            first, last = match.span()
            start, end = match.span(self._group)
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
            elif word not in {"sudo", "env"}:
                program = word.rpartition("/")[2]
                return program if _PROGRAM.fullmatch(program) else ""
    except ValueError:  # an unclosed quote
        return ""
    return ""


_NO_WORD: Final = re2.compile(b"[^0-9A-Za-z]")
_VARIABLE: Final = re2.compile("[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM: Final = re2.compile("[A-Za-z0-9._+][A-Za-z0-9._+-]{0,99}")

# Checks. Each is given the text and where the part to be replaced stands in it, says whether to replace it,
# and looks no further than a bounded stretch around it.

_DIGITS: Final = frozenset(b"0123456789")


def _digits(data: bytes) -> bytes:
    return bytes(byte for byte in data if byte in _DIGITS)


def _before(data: bytes, start: int, length: int = 32) -> bytes:
    return data[max(0, start - length) : start].lower()


_CARD_LENGTHS: Final[Mapping[bytes, tuple[int, ...]]] = {
    b"2": (16,),
    b"3": (14, 15, 16),
    b"4": (13, 16, 19),
    b"5": (16,),
    b"6": (16, 17, 18, 19),
}


def _luhn(data: bytes, start: int, end: int) -> bool:
    """Tell a card number by its check digit (ISO/IEC 7812-1) from other numbers and decimal fractions."""
    digits = _digits(data[start:end])
    if len(digits) not in _CARD_LENGTHS.get(digits[:1], ()) or _DECIMAL.search(_before(data, start)):
        return False
    total = 0
    for place, byte in enumerate(reversed(digits)):
        digit = byte - ord("0")
        total += digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)  # noqa: PLR2004
    return total % 10 == 0


_DECIMAL: Final = re2.compile(rb"[0-9]\.$")


def _ssn(data: bytes, start: int, end: int) -> bool:
    """Tell a number that can have been given out (ssa.gov/employer/randomization.html)."""
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
    """Count the digits, and see that it is not a part of something longer."""
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
    """Tell an address of a machine from loopback, netmasks, networks and versions of four parts."""
    try:
        address = ipaddress.IPv4Address(data[start:end].decode())
    except ValueError:
        return False
    if address.is_loopback or data[start:end].endswith(b".0.0.0") or data[start:end].startswith(b"255."):
        return False
    before, after = _before(data, start), data[end : end + 2]
    if _PRODUCT.search(before):  # Chrome/120.1.2.3, but db/10.1.2.3:5432
        return bool(_PORT.match(after))
    if _FILE.search(before) and not address.is_private:  # libx-1.2.3.4, but router-10.1.2.3
        return False
    return not (_VERSION_LEFT.search(before) or _VERSION_RIGHT.match(after))


_PRODUCT: Final = re2.compile(rb"[a-z]/$")
_PORT: Final = re2.compile(rb":[0-9]")
_FILE: Final = re2.compile(rb"[a-z0-9][-_]$")
_VERSION_LEFT: Final = re2.compile(
    rb"(?:[0-9]\.|\bso\.|[=<>~!]=|[\^~]|\bv\.?"
    rb"|(?:version|(?:^|[^a-z])(?:ver|release|revision|rev|build|firmware|section|chapter|clause))"
    rb"""(?: is)?["'\s:=(\\>]{0,5}v?)$"""
)
_VERSION_RIGHT: Final = re2.compile(rb"\.[0-9]|[-+_][A-Za-z]")


def _ipv6(data: bytes, start: int, end: int) -> bool:
    """Tell an address of a machine from loopback, slices, C++ names and fingerprints of hex pairs."""
    text = data[start:end].decode()
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    if address.is_loopback or not any(character.isdigit() for character in text):
        return False
    lengths = [len(group) for group in text.split(":") if group]
    telling = lengths[0] > 2 or len(lengths) > 3 if "::" in text else max(lengths) > 2  # noqa: PLR2004
    if not telling:
        return False
    return not (_HEX_LEFT.search(_before(data, start)) or _HEX_RIGHT.match(data[end : end + 2]))


_HEX_LEFT: Final = re2.compile(rb"(?:^|[^\\])[nrt]$|[a-mo-qsu-z0-9_:.-]$")
_HEX_RIGHT: Final = re2.compile(rb"[0-9A-Za-z_]|:[0-9A-Za-z:]")


def _email(data: bytes, start: int, end: int) -> bool:
    """Tell a person's address from a robot's, a git remote, a package version and a systemd unit."""
    address = data[max(0, start - 64) : end].lower()
    local, _, domain = address.replace(b"%40", b"@").replace(b"\\u0040", b"@").rpartition(b"@")
    return not (_ROBOT.search(local) or _NO_DOMAIN.search(domain))


_ROBOT: Final = re2.compile(rb"(?:^|[^a-z0-9._%+-])(?:git|hg|svn|no-?reply|do-?not-?reply|mailer-daemon)$")
_NO_DOMAIN: Final = re2.compile(
    rb"^v?[0-9]+\.[0-9]|^[0-9]x\.[a-z]+$"
    rb"|\.(?:service|socket|timer|mount|slice|scope|target|png|jpe?g|gif|svg|webp)$"
)


def _home(data: bytes, start: int, end: int) -> bool:
    """Tell a person's folder from one that every machine has, a variable and a page of a web site."""
    name = data[start:end].lower()
    if name in _EVERYBODY or name.startswith((b"$", b".")):
        return False
    if data[start - 1 : start] == b"~":
        return data[end : end + 1] == b"/" and not name.isdigit() and not _GLUED.search(_before(data, start))
    path = _LAST_WORD.search(data[max(0, start - 200) : start]).group()
    return not _WEB_PAGE.search(path)


_EVERYBODY: Final = frozenset(
    b"user username name you shared public default runner runneradmin vscode node ubuntu debian coder app "
    b"ec2-user linuxbrew codespace gitpod jovyan".split()
)
_GLUED: Final = re2.compile(rb"[a-z0-9_./)\]]~$")
_LAST_WORD: Final = re2.compile(rb"""[^\s"'`<>(),;=\[\]]*$""")
_WEB_PAGE: Final = re2.compile(rb"(?i)https?://|^(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/")


def _credential(data: bytes, start: int, end: int) -> bool:
    """Tell what follows Authorization, Bearer or Basic from an English word."""
    text = data[start:end]
    if _before(data, start).rstrip().endswith(b"basic"):
        try:
            return b":" in base64.b64decode(text + b"=" * (-len(text) % 4))
        except binascii.Error:
            return False
    return _no_word(text)


def _no_word(text: bytes) -> bool:
    """Tell whether a text is too long or too mixed to be a word of a sentence or of a program."""
    if len(text) >= 20:  # noqa: PLR2004
        return True
    return (len(text) >= 6 and not _DIGITS.isdisjoint(text)) or bool(_HUMPS.search(text))  # noqa: PLR2004


_HUMPS: Final = re2.compile(rb"[a-z][A-Z].*[a-z][A-Z]")


def _secret(data: bytes, start: int, end: int) -> bool:
    """Tell a secret from a placeholder, variable, type, expression or English word in its place."""
    value = data[start:end].strip(b"\"'\\")
    before = _before(data, start)
    named = _SECRET_NAME.search(before)
    name = named.group(1) if named else b""
    lowered = value.lower().rstrip(b".,:;!?)]}")
    if len(value) < 3 or lowered in _NO_SECRET or _PLACEHOLDER.search(value):  # noqa: PLR2004
        return False
    quoted = before.endswith((b'"', b"'")) or data[start:end] != value
    if not quoted and (_EXPRESSION.search(value) or _NAME.sub(rb"", lowered) == name):
        return False
    if name.endswith(b"pwd"):
        return not value.startswith((b"/", b"~", b"."))
    if name == b"pass":
        return not value.isdigit()
    if name.endswith((b"token", b"credential", b"credentials")) or (name.endswith(b"secret") and not quoted):
        # These are words of every text on programming, while a real one is long or has digits in it.
        return before.endswith((b"=", b">")) or _no_word(value)
    return True


_SECRET_NAME: Final = re2.compile(rb"([a-z]+)[^a-z]*$")
_PLACEHOLDER: Final = re2.compile(
    rb"^(?:\$\{.*|\$\(.*|\$[A-Za-z_][A-Z0-9_]*|%[({A-Za-z].*|\{.*\}|\{[a-z_]+:?|<.*>|\[.*\]"
    rb"|[*x.X_=-]+|[^0-9A-Za-z\x80-\x{10FFFF}]*)$"
)
_EXPRESSION: Final = re2.compile(
    rb"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*[(\[]|^(?:os|self|this|process|env|cls)\."
)
_NAME: Final = re2.compile(rb"^[a-z_][a-z0-9_.-]*[_.]")
_NO_SECRET: Final = frozenset(
    b"null none nil undefined true false yes no empty unset redacted hidden masked changeme "
    b"your_password str string bytes bool boolean int integer number float any object optional option "
    b"secretstr unknown text required incorrect invalid missing wrong must should is are was not expired "
    b"field fields the a an and or for from with this that await async new function lambda if else "
    b"return input prompt".split()
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
