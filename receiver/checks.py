"""The checks that a pattern of the rules can name: what a regular expression alone cannot tell.

Each is given the text and where the part to be replaced stands in it, and says whether to replace it. Around
that part it looks no further than a bounded stretch, and there the standard library's expressions are safe,
which are quicker to call than RE2. The part itself may be long: RE2 alone looks at it.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

import re2

from receiver.rules import Check

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


_DECIMAL: Final = re.compile(rb"[0-9]\.\Z")


def _ssn(data: bytes, start: int, end: int) -> bool:
    """Tell a number that can have been given out (ssa.gov/employer/randomization.html)."""
    digits = _digits(data[start:end])
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in {b"000", b"666"} or area >= b"900" or group == b"00" or serial == b"0000":
        return False
    if data[start:end].count(b"-") == 2:  # noqa: PLR2004
        return not (_JOINED_LEFT.search(_before(data, start)) or _JOINED_RIGHT.match(data[end : end + 2]))
    return bool(_SSN_NAME.search(_before(data, start)))


_JOINED_LEFT: Final = re.compile(rb"[0-9a-z][-.+]\Z")
_JOINED_RIGHT: Final = re.compile(rb"[-.+][0-9A-Za-z]")
_SSN_NAME: Final = re.compile(rb"ssn|social[ _-]?security")


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


_PHONE_LEFT: Final = re.compile(rb"(?:^|[^\\])[nrt]\Z|[a-mo-qsu-z0-9_.+/@$%)-]\Z")


def _ipv4(data: bytes, start: int, end: int) -> bool:
    """Tell an address of a machine from loopback, netmasks, networks and versions of four parts."""
    text = data[start:end]
    if not _IPV4.fullmatch(text) or text.endswith(b".0.0.0") or text.startswith((b"127.", b"255.")):
        return False
    before, after = _before(data, start), data[end : end + 2]
    if _PRODUCT.match(before, len(before) - 2):  # Chrome/120.1.2.3, but db/10.1.2.3:5432
        return bool(_PORT.match(after))
    # libx-1.2.3.4, but router-10.1.2.3
    if _FILE.match(before, len(before) - 2) and not ipaddress.IPv4Address(text.decode()).is_private:
        return False
    return not (_VERSION_LEFT.search(before) or _VERSION_RIGHT.match(after))


_IPV4: Final = re.compile(rb"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
_PRODUCT: Final = re.compile(rb"[a-z]/\Z")
_PORT: Final = re.compile(rb":[0-9]")
_FILE: Final = re.compile(rb"[a-z0-9][-_]\Z")
_VERSION_LEFT: Final = re.compile(
    rb"(?:[0-9]\.|\bso\.|[=<>~!]=|[\^~]|\bv\.?"
    rb"|(?:version|(?:^|[^a-z])(?:ver|release|revision|rev|build|firmware|section|chapter|clause))"
    rb"""(?: is)?["'\s:=(\\>]{0,5}v?)\Z"""
)
_VERSION_RIGHT: Final = re.compile(rb"\.[0-9]|[-+_][A-Za-z]")


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


_HEX_LEFT: Final = re.compile(rb"(?:^|[^\\])[nrt]\Z|[a-mo-qsu-z0-9_:.-]\Z")
_HEX_RIGHT: Final = re.compile(rb"[0-9A-Za-z_]|:[0-9A-Za-z:]")


def _email(data: bytes, start: int, end: int) -> bool:
    """Tell a person's address from a robot's, a git remote, a package version and a systemd unit."""
    address = data[max(0, start - 64) : end].lower()
    local, _, domain = address.replace(b"%40", b"@").replace(b"\\u0040", b"@").rpartition(b"@")
    if local.endswith(_ROBOTS) and _ROBOT.search(local):
        return False
    return not (domain.endswith(_NO_DOMAINS) or _VERSION.match(domain))


_ROBOT: Final = re.compile(rb"(?:^|[^a-z0-9._%+-])(?:git|hg|svn|no-?reply|do-?not-?reply|mailer-daemon)\Z")
# What a robot's name ends with: most names are told from it without an expression.
_ROBOTS: Final = (b"git", b"hg", b"svn", b"reply", b"daemon")
_NO_DOMAINS: Final = (
    *(b".service", b".socket", b".timer", b".mount", b".slice", b".scope", b".target"),
    *(b".png", b".jpg", b".jpeg", b".gif", b".svg", b".webp"),
)
_VERSION: Final = re.compile(rb"v?[0-9]+\.[0-9]|[0-9]x\.[a-z]+\Z")


def _home(data: bytes, start: int, end: int) -> bool:
    """Tell a person's folder from one that every machine has, a variable and a page of a web site."""
    name = data[start:end].lower()
    if name in _EVERYBODY or name.startswith((b"$", b".")):
        return False
    if data[start - 1 : start] == b"~":
        return data[end : end + 1] == b"/" and not name.isdigit() and not _GLUED.search(_before(data, start))
    before = data[max(0, start - 200) : start]
    last_word = before[before.translate(_ENDS_OF_WORDS).rfind(b" ") + 1 :]
    return not _WEB_PAGE.search(last_word)


_EVERYBODY: Final = frozenset(
    b"user username name you shared public default runner runneradmin vscode node ubuntu debian coder app "
    b"ec2-user linuxbrew codespace gitpod jovyan".split()
)
_GLUED: Final = re.compile(rb"[a-z0-9_./)\]]~\Z")
_ENDS_OF_WORDS: Final = bytes.maketrans(b"\t\n\r\f\v\"'`<>(),;=[]", b" " * 17)
_WEB_PAGE: Final = re.compile(rb"(?i)https?://|^(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/")


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


_HUMPS: Final = re.compile(rb"[a-z][A-Z].*[a-z][A-Z]")


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


_SECRET_NAME: Final = re.compile(rb"([a-z]+)[^a-z]*\Z")
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
