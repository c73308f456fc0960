"""Numbers with check digits, made at random: cards, IBANs and national ids."""

from collections.abc import Sequence
from random import Random
from typing import Any, Final


def _digits(random: Random, count: int) -> list[int]:
    return [random.randrange(1, 10), *(random.randrange(10) for _ in range(count - 1))]


def _text(digits: Sequence[int]) -> str:
    return "".join(map(str, digits))


def luhn(digits: Sequence[int]) -> int:
    """Return the check digit that completes the digits (ISO/IEC 7812-1)."""
    doubled = [
        digit * 2 - 9 * (digit > 4) if place % 2 == 0 else digit
        for place, digit in enumerate(reversed(digits))
    ]
    return -sum(doubled) % 10


def _card(random: Random, _: int, start: str | None, *, length: int = 16) -> str:
    digits = [*map(int, start or "4"), *(random.randrange(10) for _ in range(length - 1 - len(start or "4")))]
    if digits[0] == 5:
        digits[1] = random.randrange(1, 6)
    return _text([*digits, luhn(digits)])


def _grouped(text: str, sign: str, size: int = 4) -> str:
    return sign.join(text[start : start + size] for start in range(0, len(text), size))


def _amex(random: Random, *_: object) -> str:
    number = _card(random, 0, "37", length=15)
    return f"{number[:4]} {number[4:10]} {number[10:]}"


def _iban(random: Random, _: int, what: str | None) -> str:
    country, rest = (what or "DE18")[:2], (what or "DE18")[2:]
    letters, _a, digits = rest.rpartition("a")
    bban = "".join(random.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=int(letters or 0)))
    bban += "".join(map(str, _digits(random, int(digits))))
    number = int("".join(str(int(sign, 36)) for sign in f"{bban}{country}00"))
    return f"{country}{98 - number % 97:02d}{bban}"


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True))


def _cpf(random: Random, *_: object) -> str:
    digits = _digits(random, 9)
    for length in (10, 11):
        digits.append(_weighted(digits, range(length, 1, -1)) * 10 % 11 % 10)
    text = _text(digits)
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def _cnpj(random: Random, *_: object) -> str:
    digits = [*_digits(random, 8), 0, 0, 0, 1]
    for weights in ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)):
        rest = _weighted(digits, weights) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    text = _text(digits)
    return f"{text[:2]}.{text[2:5]}.{text[5:8]}/{text[8:12]}-{text[12:]}"


_VERHOEFF_D: Final = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
_VERHOEFF_P: Final = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]


def _aadhaar(random: Random, *_: object) -> str:
    digits = [random.randrange(2, 10), *(random.randrange(10) for _ in range(10))]
    state = 0
    for place, digit in enumerate(reversed([*digits, 0])):
        state = _VERHOEFF_D[state][_VERHOEFF_P[place % 8][digit]]
    return _text([*digits, _VERHOEFF_D[state].index(0)])


def _dni(random: Random, *_: object) -> str:
    number = random.randrange(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _nie(random: Random, *_: object) -> str:
    first, number = random.randrange(3), random.randrange(10_000_000)
    return f"{'XYZ'[first]}{number:07d}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(f'{first}{number:07d}') % 23]}"


def _nif_portugal(random: Random, *_: object) -> str:
    digits = [2, *(random.randrange(10) for _ in range(7))]
    check = 11 - _weighted(digits, range(9, 1, -1)) % 11
    return _text([*digits, 0 if check > 9 else check])


def _nino(random: Random, *_: object) -> str:
    letters = "".join(random.choices("ABCEHJLMPRS", k=2))
    return f"{letters}{_text(_digits(random, 6))}{random.choice('ABCD')}"


def _nhs(random: Random, *_: object) -> str:
    while True:
        digits = _digits(random, 9)
        check = 11 - _weighted(digits, range(10, 1, -1)) % 11
        if check != 10:
            text = _text([*digits, check % 11])
            return f"{text[:3]} {text[3:6]} {text[6:]}"


def _sin(random: Random, *_: object) -> str:
    digits = _digits(random, 8)
    return _text([*digits, luhn(digits)])


def _bsn(random: Random, *_: object) -> str:
    while True:
        digits = _digits(random, 8)
        check = _weighted(digits, range(9, 1, -1)) % 11
        if check < 10:
            return _text([*digits, check])


def _pesel(random: Random, *_: object) -> str:
    digits = [8, 5, 0, random.randrange(1, 10), 1, random.randrange(10), *_digits(random, 4)]
    return _text([*digits, -_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10])


def _steuer(random: Random, *_: object) -> str:
    digits = random.sample(range(10), 10)
    if digits[0] == 0:
        digits.reverse()
    digits[random.randrange(5, 10)] = digits[2]
    product = 10
    for digit in digits:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    check = 11 - product
    return _text([*digits, 0 if check == 10 else check])


_ODD: Final = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]


def _codice(random: Random, *_: object) -> str:
    letters = "".join(random.choices("BCDFGLMNPRSTVZ", k=6))
    text = (
        f"{letters}85{random.choice('ABCDEHLMPRST')}{random.randrange(10, 28)}H{random.randrange(100, 999)}"
    )
    values = [int(sign) if sign.isdigit() else ord(sign) - 65 for sign in text]
    total = sum(_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return f"{text}{chr(65 + total % 26)}"


def _china(random: Random, *_: object) -> str:
    digits = [
        1,
        1,
        0,
        1,
        0,
        random.randrange(1, 9),
        1,
        9,
        8,
        random.randrange(10),
        0,
        random.randrange(1, 10),
        1,
    ]
    digits += [random.randrange(10), *_digits(random, 3)]
    total = _weighted(digits, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return f"{_text(digits)}{'10X98765432'[total % 11]}"


def _insee(random: Random, *_: object) -> str:
    place = f"{random.randrange(100, 999)}{random.randrange(100, 999)}"
    number = f"{random.randrange(1, 3)}850{random.randrange(1, 10)}75{place}"
    return f"{number}{97 - int(number) % 97:02d}"


def _ahv(random: Random, *_: object) -> str:
    digits = [7, 5, 6, *_digits(random, 9)]
    text = _text([*digits, -sum(digit * (1 + 2 * (place % 2)) for place, digit in enumerate(digits)) % 10])
    return f"{text[:3]}.{text[3:7]}.{text[7:11]}.{text[11:]}"


def _personnummer(random: Random, *_: object) -> str:
    digits = [8, 5, 0, random.randrange(1, 10), 1, random.randrange(10), *_digits(random, 3)]
    text = _text([*digits, luhn(digits)])
    return f"{text[:6]}-{text[6:]}"


def _fodselsnummer(random: Random, *_: object) -> str:
    while True:
        digits = [1, random.randrange(1, 10), 0, random.randrange(1, 10), 8, 5, *_digits(random, 3)]
        first = -_weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
        second = -_weighted([*digits, first], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        if first < 10 and second < 10:
            return _text([*digits, first, second])


def _belgium(random: Random, *_: object) -> str:
    number = f"850{random.randrange(1, 10)}1{random.randrange(10)}{random.randrange(100, 999)}"
    check = 97 - int(number) % 97
    return f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[6:]}.{check:02d}"


def _tfn(random: Random, *_: object) -> str:
    while True:
        digits = _digits(random, 9)
        if _weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0:
            return _text(digits)


def _rut(random: Random, *_: object) -> str:
    digits = _digits(random, 8)
    check = 11 - sum(digit * (2 + place % 6) for place, digit in enumerate(reversed(digits))) % 11
    text = _text(digits)
    return f"{text[:2]}.{text[2:5]}.{text[5:]}-{'0K'[check == 10] if check > 9 else check}"


def _nric(random: Random, *_: object) -> str:
    digits = _digits(random, 7)
    return f"S{_text(digits)}{'JZIHGFEDCBA'[_weighted(digits, (2, 7, 6, 5, 4, 3, 2)) % 11]}"


def _korea(random: Random, *_: object) -> str:
    digits = [
        8,
        5,
        0,
        random.randrange(1, 10),
        1,
        random.randrange(10),
        random.randrange(1, 3),
        *_digits(random, 5),
    ]
    text = _text([*digits, (11 - _weighted(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10])
    return f"{text[:6]}-{text[6:]}"


def _turkey(random: Random, *_: object) -> str:
    digits = _digits(random, 9)
    tenth = (sum(digits[::2]) * 7 - sum(digits[1::2])) % 10
    return _text([*digits, tenth, (sum(digits) + tenth) % 10])


def _south_africa(random: Random, *_: object) -> str:
    digits = [8, 5, 0, random.randrange(1, 10), 1, random.randrange(10), 5, *_digits(random, 3), 0, 8]
    return _text([*digits, luhn(digits)])


IDS: Final[dict[str, Any]] = {
    "card": _card,
    "cards": lambda random, length, start: _grouped(_card(random, length, start), " "),
    "cardd": lambda random, length, start: _grouped(_card(random, length, start), "-"),
    "amex": _amex,
    "iban": _iban,
    "ibans": lambda random, length, what: _grouped(_iban(random, length, what), " "),
    "cpf": _cpf,
    "cpfd": lambda random, *_: _cpf(random).replace(".", "").replace("-", ""),
    "cnpj": _cnpj,
    "aadhaar": lambda random, *_: _grouped(_aadhaar(random), " "),
    "aadhaarj": _aadhaar,
    "dni": _dni,
    "nie": _nie,
    "nifpt": _nif_portugal,
    "nino": _nino,
    "ninos": lambda random, *_: _grouped(_nino(random), " ", 2),
    "nhs": _nhs,
    "sin": lambda random, *_: _grouped(_sin(random), "-", 3),
    "sin9": _sin,
    "bsn": _bsn,
    "pesel": _pesel,
    "steuer": _steuer,
    "codice": _codice,
    "china": _china,
    "insee": _insee,
    "ahv": _ahv,
    "pnr": _personnummer,
    "fnr": _fodselsnummer,
    "rrn": _belgium,
    "rrnk": _korea,
    "tfn": _tfn,
    "rut": _rut,
    "nric": _nric,
    "tc": _turkey,
    "zaid": _south_africa,
    "hexpairs": lambda random, *_: ":".join(f"{random.randrange(256):02x}" for _ in range(16)),
    "pair": lambda random, *_: (
        __import__("base64").b64encode(f"bob:pw{random.randrange(10**9)}x".encode()).decode()
    ),
    "pem": lambda random, *_: "".join(
        random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=64)
    ),
}
