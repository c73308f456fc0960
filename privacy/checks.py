"""The checks that a pattern of the rules can name: what a regular expression alone cannot tell.

Each is given the text and where the part to be replaced stands in it, and says whether to replace it. Around
that part it looks no further than a bounded stretch, and there the standard library's expressions are safe,
which are quicker to call than RE2. The part itself may be long: RE2 alone looks at it.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from privacy.commands import is_password, passwords
from privacy.kubernetes import secret_data
from privacy.names import Strength
from privacy.numbers import iban, is_telling_id, labelled_id
from privacy.pairs import Spans, values_of
from privacy.people import EVERYBODY, accounts, name_before
from privacy.private_keys import private_key
from privacy.rules import Check
from privacy.tokens import inner_token
from privacy.values import Form, is_long_and_mixed, is_secret

_DIGITS: Final = frozenset(b"0123456789")


def _digits(data: bytes) -> bytes:
    return bytes(byte for byte in data if byte in _DIGITS)


def _before(data: bytes, start: int, length: int = 32) -> bytes:
    before = data[max(0, start - length) : start].lower()
    # A colour code and the sign of a diff's line part what stands behind them.
    return _SEPARATOR.sub(b" ", before) if before.endswith((b"m", b"+", b"-")) else before


_SEPARATOR: Final = re.compile(rb"(?:\x1b|\\(?:u001b|x1b|033|e))\[[0-9;]{0,12}m\Z|(?:^|\n|\\n)[+-]\Z")


_CARD_LENGTHS: Final[Mapping[bytes, tuple[int, ...]]] = {
    b"2": (16,),
    b"3": (14, 15, 16),
    b"4": (13, 16, 19),
    b"5": (16,),
    b"6": (16, 17, 18, 19),
}


def _luhn(data: bytes, start: int, end: int) -> bool:
    """Whether a number is a card's, by its check digit (ISO/IEC 7812-1), and no decimal fraction."""
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
    """Whether a number can have been given out (ssa.gov/employer/randomization.html)."""
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
    if text.startswith(b"0"):
        # A row of a dump has more pairs of digits than a French number.
        return 9 <= len(digits) <= 15 and not _MORE_PAIRS.match(data[end : end + 4])  # noqa: PLR2004
    # Three columns of numbers look like a phone number written with blanks only.
    return any(sign in text for sign in b"-.(")


_MORE_PAIRS: Final = re.compile(rb"[ .-][0-9a-fA-F]{2}(?:\s|\Z)")
_PHONE_LEFT: Final = re.compile(rb"(?:^|[^\\])[nrt]\Z|[a-mo-qsu-z0-9_.+/@$%)-]\Z")


def _ipv4(data: bytes, start: int, end: int) -> bool:
    """Whether this is a machine's address, and no loopback, netmask, network or version of four parts."""
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
    """Whether this is a machine's address, and no loopback, slice, C++ name or fingerprint of hex pairs."""
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
    """Whether this is a person's address, and no robot's, git remote, package version or systemd unit."""
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
    """Whether this is a person's folder, and none that every machine has, no variable or page of a web site."""
    name = data[start:end].lower()
    if name in EVERYBODY or name.startswith((b"$", b".")):
        return False
    if data[start - 1 : start] == b"~":
        return data[end : end + 1] == b"/" and not name.isdigit() and not _GLUED.search(_before(data, start))
    before = data[max(0, start - 200) : start]
    if before.endswith((b"./home/", b"./Users/", b"../home/")):
        return False
    last_word = before[before.translate(_ENDS_OF_WORDS).rfind(b" ") + 1 :]
    return not _WEB_PAGE.search(last_word)


_GLUED: Final = re.compile(rb"[a-z0-9_./)\]]~\Z")
_ENDS_OF_WORDS: Final = bytes.maketrans(b"\t\n\r\f\v\"'`<>(),;=[]", b" " * 17)
_WEB_PAGE: Final = re.compile(rb"(?i)https?://|^(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/")


def _credential(data: bytes, start: int, end: int) -> bool:
    """Whether the text behind Authorization, Bearer or Basic is a credential, and no English word."""
    text = data[start:end]
    before = _before(data, start)
    if not before.rstrip().endswith(b"basic"):
        return _no_word(text)
    try:
        is_pair = b":" in base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        is_pair = False
    return is_pair or (b"authorization" in before and _no_word(text))


def _no_word(text: bytes) -> bool:
    """Whether a text is too long or too mixed to be a word of a sentence or of a program."""
    if len(text) >= 20:  # noqa: PLR2004
        return True
    return (len(text) >= 6 and not _DIGITS.isdisjoint(text)) or bool(_HUMPS.search(text))  # noqa: PLR2004


_HUMPS: Final = re.compile(rb"[a-z][A-Z].*[a-z][A-Z]")


def _secret(data: bytes, start: int, end: int) -> bool:
    """Whether this is a secret, and no placeholder, variable, type, expression or English word in its place."""
    quoted = data[start - 1 : start] in (b'"', b"'") or data[start : start + 1] in (b'"', b"'")
    value = data[start:end].decode("utf-8", "replace")
    return is_secret(Strength.strong, value, Form.quoted if quoted else Form.argument)


def _literal(data: bytes, start: int, end: int) -> bool:
    """Whether what stands where a password does is one, and no variable or placeholder."""
    return is_secret(Strength.strong, data[start:end].decode("utf-8", "replace"), Form.quoted)


def _argument(data: bytes, start: int, end: int) -> bool:
    """Whether what is piped into a command that asks for a password is one."""
    return is_password(data[start:end])


def _url(data: bytes, start: int, end: int) -> bool:
    """Whether this is the password of a URL, or a token in the place of its user."""
    if data[start - 2 : start] == b"//":
        return is_secret(Strength.weak, data[start:end].decode("utf-8", "replace"), Form.quoted)
    return _literal(data, start, end)


def _parameter(data: bytes, start: int, end: int) -> bool:
    """Whether a URL's parameter is a signature, a code or a key: long or mixed."""
    value = data[start:end].decode("utf-8", "replace")
    return (
        not value.isdigit()
        and is_secret(Strength.vague, value, Form.quoted)
        and is_long_and_mixed(value[:200])
    )


def _mixed(data: bytes, start: int, end: int) -> bool:
    """Whether a value is no word."""
    return is_secret(Strength.vague, data[start:end].decode("utf-8", "replace"), Form.quoted)


def _token(data: bytes, start: int, end: int) -> bool:
    """Whether a token is one, and neither an example of its form nor a stretch of base64 that begins as one does."""
    if data[start : start + 4].isalnum() and data[start - 1 : start].isalnum():
        return False
    return not _NO_TOKEN.search(data[start:end])


_NO_TOKEN: Final = re.compile(
    rb"(?i)x{5}|\*{4}|(?:your|example|placeholder|replace|insert|redacted|dummy)(?:[-_a-z]|\Z)|\.\.\."
)


def _mac(data: bytes, start: int, end: int) -> bool:
    """Whether six pairs are one card's address, and neither a group's nor digits of a date and a time."""
    text = data[start:end].lower()
    is_example = text in _EXAMPLE_MACS or text.startswith((b"01:00:5e", b"33:33"))
    return not is_example and len(set(text)) > 3 and (b":" in text or not _DECIMALS.fullmatch(text))  # noqa: PLR2004


_DECIMALS: Final = re.compile(rb"[0-9-]+")
_EXAMPLE_MACS: Final = frozenset(
    {b"aa:bb:cc:dd:ee:ff", b"00:11:22:33:44:55", b"aa-bb-cc-dd-ee-ff", b"00-11-22-33-44-55"}
)


def _person(data: bytes, start: int, end: int) -> Spans:
    """Return where a name or an account is, none for those of robots and services."""
    sign = data[start:end]
    if not sign.endswith((b"@", b")")):
        return accounts(data, start, end)
    if sign.endswith(b"@"):
        address = _ADDRESS.match(data, start + sign.rindex(b"<") + 1)
        if not address or not _email(data, *address.span()):
            return ()
    return name_before(data, start + sign.index(b" "))


_ADDRESS: Final = re.compile(rb"[^\s<>@]{1,128}@[^\s<>]{1,128}")

CHECKS: Final[Mapping[Check, Callable[[bytes, int, int], bool]]] = {
    "argument": _argument,
    "credential": _credential,
    "email": _email,
    "home": _home,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "literal": _literal,
    "luhn": _luhn,
    "mac": _mac,
    "mixed": _mixed,
    "parameter": _parameter,
    "phone": _phone,
    "secret": _secret,
    "ssn": _ssn,
    "telling": is_telling_id,
    "token": _token,
    "url": _url,
}
READERS: Final[Mapping[Check, Callable[[bytes, int, int], Spans]]] = {
    "command": passwords,
    "iban": iban,
    "inner": inner_token,
    "kubernetes": secret_data,
    "labelled": labelled_id,
    "pair": values_of,
    "person": _person,
    "private": private_key,
}
"""Those that say what to replace instead, which can be all but the match itself."""

WORDS: Final[Mapping[str, Sequence[bytes]]] = {
    "everybody": sorted(EVERYBODY),
    "robots": _ROBOTS,
    "no_domains": _NO_DOMAINS,
    "ends_of_words": (_ENDS_OF_WORDS,),
}
EXPRESSIONS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "robot": _ROBOT,
    "version": _VERSION,
    "glued": _GLUED,
    "web_page": _WEB_PAGE,
    "port": _PORT,
    "version_left": _VERSION_LEFT,
    "version_right": _VERSION_RIGHT,
    "no_token": _NO_TOKEN,
}
"""What the native pass takes from here, so that its checks (`native/src/checks.rs`) go by the same words."""
