"""Values made at random from short templates: `gsk_{an52}` is `gsk_` and 52 letters and digits."""

import base64
import re
import string
from collections.abc import Callable
from random import Random
from typing import Final

LOWER: Final = string.ascii_lowercase
UPPER: Final = string.ascii_uppercase
DIGITS: Final = string.digits
ALNUM: Final = LOWER + UPPER + DIGITS

ALPHABETS: Final = {
    "an": ALNUM,
    "az": LOWER + DIGITS,
    "AZ": UPPER + DIGITS,
    "low": LOWER,
    "up": UPPER,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "d": DIGITS,
    "w": ALNUM + "_-",
    "b": ALNUM + "+/",
    "base32x": UPPER + "234567",
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "p": ALNUM + "!#%^*_+.~",
}
WORDS: Final = tuple(
    """
    amber anchor apple arrow autumn basin beacon birch bottle bridge candle canyon cedar cinder
    clover cobalt copper coral cotton crater cricket dagger delta ember falcon feather fennel forest
    garnet ginger glacier granite harbor hazel heron hollow indigo island ivory jasper juniper
    kettle lantern lemon lilac linen magnet maple marble meadow mirror nectar needle nickel ocean
    olive orbit orchid otter paddle pebble pepper pillar pine planet plume poplar quartz rabbit
    raven river rocket saddle salmon sapphire silver sparrow spruce summit tiger timber tulip velvet
    walnut willow winter yarrow zephyr
    """.split()  # noqa: SIM905  a table
)
_PART: Final = re.compile(r"\{([A-Za-z]+?)([0-9]*)(?::([^}]*))?\}")


def fill(template: str, random: Random) -> str:
    """Return the template with each `{alphabet}{length}` made; `{uuid}` and `{pw}` too."""

    def part(found: re.Match[str]) -> str:
        name, length, text = found[1], int(found[2] or 0), found[3]
        made = _SPECIAL.get(name)
        if made:
            return made(random, length, text)
        return mixed(ALPHABETS[name], length, random) if name in ALPHABETS and length else found[0]

    return _PART.sub(part, template)


def mixed(alphabet: str, length: int, random: Random) -> str:
    """Return random characters, among them letters and digits where the alphabet has both and the length allows."""
    while True:
        text = "".join(random.choices(alphabet, k=length))
        wants_digit = length > 9 and "0" in alphabet and not alphabet.isdigit()
        if text[:1] in "-_+/." or text[-1:] in "-_+/.":
            continue
        if not wants_digit or (any(map(str.isdigit, text)) and any(map(str.isalpha, text))):
            return text


def uuid(random: Random, *_: object) -> str:
    """Return a random UUID of version 4."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def password(random: Random, *_: object) -> str:
    """Return a password as people and generators make them: mixed, of 8 to 20 characters."""
    way = random.randrange(4)
    if way == 0:
        word = random.choice(WORDS).capitalize()
        return f"{word}{random.choice('!#%*_')}{random.randrange(10, 9999)}"
    if way == 1:
        return mixed(ALPHABETS["p"], random.randrange(10, 20), random)
    if way == 2:
        word = random.choice(WORDS).replace("a", "4").replace("e", "3").replace("i", "1").replace("o", "0")
        return f"{word}{random.choice(WORDS)}{random.randrange(10, 999)}"
    return mixed(ALNUM, random.randrange(12, 24), random)


def phrase(random: Random, length: int, *_: object) -> str:
    """Return words with blanks between."""
    return " ".join(random.choices(WORDS, k=length or 4))


def _b64(random: Random, length: int, text: str | None) -> str:
    data = fill(text, random).encode() if text else random.randbytes(length)
    return base64.b64encode(data).decode()


def _b64url(random: Random, length: int, text: str | None) -> str:
    return _b64(random, length, text).replace("+", "-").replace("/", "_").rstrip("=")


_SPECIAL: Final[dict[str, Callable[[Random, int, str | None], str]]] = {
    "uuid": uuid,
    "pw": password,
    "phrase": phrase,
    "word": lambda random, *_: random.choice(WORDS),
    "Word": lambda random, *_: random.choice(WORDS).capitalize(),
    "base": _b64,
    "baseurl": _b64url,
}
