"""Numbers that identify a person or an account, told by their check digits and lengths: IBANs, and national ids.

An IBAN is found everywhere, since two check digits and a length for each country leave little to chance. National ids
are found where a label names them, whatever their check digits say, as people type them with errors; without a label
only those are whose form and check digits are telling.
"""

import re
from collections.abc import Sequence
from typing import Final

_LENGTHS: Final = dict(
    pair.split(":")
    for pair in """
    AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24
    DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27
    GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20
    LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24
    PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25
    SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30
    """.split()  # noqa: SIM905  a table
)
"""Characters of an IBAN by country, from the registry that SWIFT publishes (ISO 13616)."""


def iban(data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return the part of data[start:end] that is an IBAN: as long as its country's, with the remainder 1 (ISO 7064)."""
    text = data[start:end]
    length = _LENGTHS.get(text[:2].decode("ascii", "replace").upper())
    places = [place for place, byte in enumerate(text) if byte not in b" -"]
    if length is None or len(places) < int(length):
        return ()
    signs = bytes(text[place] for place in places[: int(length)]).upper()
    number = int("".join(str(int(chr(byte), 36)) for byte in signs[4:] + signs[:4]))
    last = start + places[int(length) - 1] + 1
    if number % 97 != 1 or _IN_A_WORD.match(data[last : last + 1]):
        return ()
    return ((start, last),)


def labelled_id(data: bytes, start: int, _: int) -> Sequence[tuple[int, int]]:
    """Return where the number stands that the label at data[start:] names, none if it has not the label's form."""
    text = data[start : start + MAX_LABELLED].decode("utf-8", "ignore")
    for row in _LABELLED:
        found = row.match(text)
        if found and not _MOMENT.match(text, found.start(1)):
            first = start + len(text[: found.start(1)].encode())
            return ((first, first + len(found[1].encode())),)
    return ()


def is_telling_id(data: bytes, start: int, end: int) -> bool:
    """Whether an id without a label is one by its check digits: codice fiscale, CPF, CNPJ, AHV, or a Chinese one."""
    text = data[start:end].decode("ascii", "replace").upper()
    if text[:6].isalpha() and len(text) == _CODICE:
        return _codice_fiscale(text)
    digits = [int(sign) for sign in text if sign.isdigit()]
    if text.startswith("756."):
        return len(digits) == _SWISS and (
            -sum(digit * (1 + 2 * (place % 2)) for place, digit in enumerate(digits[:12])) % 10 == digits[12]
        )
    if len(text) == 18 and len(digits) >= 17 and "-" not in text:  # noqa: PLR2004
        total = sum(digit * weight for digit, weight in zip(digits[:17], _CHINESE, strict=True))
        return "10X98765432"[total % 11] == text[17]
    return _brazilian(digits)


_CODICE: Final = 16
_SWISS: Final = 13


def _codice_fiscale(text: str) -> bool:
    values = [int(sign) if sign.isdigit() else ord(sign) - 65 for sign in text[:15]]
    return (
        sum(_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values)) % 26
        == ord(text[15]) - 65
    )


def _brazilian(digits: Sequence[int]) -> bool:
    size = len(digits) - 2
    if size not in (9, 12) or len(set(digits)) == 1:
        return False
    for length in (size, size + 1):
        weights = [(place % (8 if size == 12 else 12)) + 2 for place in range(length)]  # noqa: PLR2004
        total = sum(digit * weight for digit, weight in zip(reversed(digits[:length]), weights, strict=True))
        if (0 if total % 11 < 2 else 11 - total % 11) != digits[length]:  # noqa: PLR2004
            return False
    return True


_IN_A_WORD: Final = re.compile(rb"[0-9A-Za-z_]")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}")
_CHINESE: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)

MAX_LABELLED: Final = 160
_ROWS: Final = r"""
ssn|itin|social[ _-]?security ⇒ [0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}
cpf ⇒ [0-9]{3}\.?[0-9]{3}\.?[0-9]{3}[-/ ]?[0-9]{2}
cnpj ⇒ [0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}
aadh?aar|uidai|マイナンバー|my[ _-]?number ⇒ [0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}
pan ⇒ [A-Z]{5}[0-9]{4}[A-Z]
dni|nie|nif|cif|nipc ⇒ [A-Z]?-?[0-9]{7,9}-?[A-Z]?|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}(?:-?[A-Z])?
nino|national[ _-]?insurance ⇒ [A-Z]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[A-D]
nhs ⇒ [0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}
sin|social[ _-]?insurance|tfn|tax[ _-]?file|bsn ⇒ [0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{2,6}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}
burgerservicenummer|sofinummer|teudat[ _-]?zehut ⇒ [0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{2,6}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}
inn|инн|eik|oib ⇒ [0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{2,6}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}
pesel ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
steuer(?:liche)?[- _]?(?:id|idnr|identifikationsnummer|nummer|nr) ⇒ [0-9]{2} ?[0-9]{3} ?[0-9/]{3,4} ?[0-9]{3,5}
idnr|tc[ _-]?kimlik|kimlik ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
f[øo]dselsnummer|personnummer ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
samordningsnummer|cpr|isikukood ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
asmens kodas|cnp|jmbg|egn|emso ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
rodn[eé] [cč][ií]slo ⇒ [0-9]{2}[ ]?[0-9]{3,4}[ /+-]?[0-9]{3,5}[ -]?[0-9]{0,5}|[0-9]{6,8}[-+][0-9]{4}
codice[ _]?fiscale|cod\. ?fisc\.?|cf [A-Z][a-z]{1,20}|cf ⇒ [A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]
身份证号?码?|身份證號?碼?|id[ _-]?card ⇒ [A-Z]?[0-9]{6,17}[0-9X()A-Z]{1,3}|[0-9]{6}-[0-9]{2}-[0-9]{4}
identity[ _-]?(?:card|number)|citizen[ _-]?id ⇒ [A-Z]?[0-9]{6,17}[0-9X()A-Z]{1,3}|[0-9]{6}-[0-9]{2}-[0-9]{4}
national[ _-]?id|resident[ _-]?id ⇒ [A-Z]?[0-9]{6,17}[0-9X()A-Z]{1,3}|[0-9]{6}-[0-9]{2}-[0-9]{4}
south[ _-]african[ _-]id|rsa[ _-]id|sa[ _-]id|mykad ⇒ [A-Z]?[0-9]{6,17}[0-9X()A-Z]{1,3}|[0-9]{6}-[0-9]{2}-[0-9]{4}
nric|hkid ⇒ [A-Z]?[0-9]{6,17}[0-9X()A-Z]{1,3}|[0-9]{6}-[0-9]{2}-[0-9]{4}
insee|nir|s[ée]curit[ée] sociale|sozialversicherungs(?:nummer)?|svnr|sv-nummer|rvnr ⇒ [0-9][0-9A-Z ]{8,20}[0-9]
numss ⇒ [0-9][0-9A-Z ]{8,20}[0-9]
ahv|avs|avs13|oasi ⇒ 756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}
hetu|henkil[öo]tunnus ⇒ [0-9]{6}[-+A][0-9]{3}[0-9A-Z]
rijksregister(?:nummer)?|registre national|niss|insz ⇒ [0-9]{2}[. ]?[0-9]{2}[. ]?[0-9]{2}[- ]?[0-9]{3}[. ]?[0-9]{2}
medicare ⇒ [0-9][0-9A-Z]{3}[ -]?[0-9A-Z]{3,5}[ -]?[0-9A-Z]{1,4}
curp ⇒ [A-Z]{4}[0-9]{6}[A-Z]{6}[A-Z0-9]{2}
rfc ⇒ [A-Z&]{3,4}[0-9]{6}[A-Z0-9]{3}
rut ⇒ [0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9K]
cuit|cuil ⇒ [0-9]{2}-?[0-9]{8}-?[0-9]
주민등록번호|주민번호|rrn ⇒ [0-9]{6}-?[0-9]{7}
снилс ⇒ [0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{2}
passport|passeport|pasaporte|passaporto|паспорт|护照 ⇒ [A-Z]{0,2}[0-9]{6,9}[A-Z]?|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}
reisepass ⇒ [CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}
(?:driver|driving|führerschein)(?:.?s)?[ _-]?licen[cs]e ⇒ [A-Z0-9]{0,6}[0-9]{5,9}[A-Z0-9]{0,6}
ein|fein|tax[ _-]?(?:payer[ _-]?)?id(?:entification)?|tin ⇒ [0-9]{2}-[0-9]{7}|[0-9]{9}
(?:bank[ _-]?)?account(?:[ _-]?(?:number|no))?|acct[ _-]?(?:number|no)|kontonummer ⇒ [0-9]{8,11}
routing|aba ⇒ [0-9]{9}
sort[ _-]?code ⇒ [0-9]{2}-[0-9]{2}-[0-9]{2}
"""
"""The names of a number, and the forms that it has."""

_TO_NUMBER: Final = (
    r"(?:[ _-]?(?:number|no|nr|num|n[º°]|num[eé]ro|n[uú]mero|nummer|id|code|card|#))?(?:[ _-]?(?:number|no|"
    r"nr))?\.?(?: is)?"
    r"[\\\"'`\])}*]{0,6}[ \t]{0,8}(?:[:=#|>-]|\uff1a|=>)?[ \t]{0,8}[\\\"'`]{0,6}"
)


def _compiled(row: str) -> re.Pattern[str]:
    label, _, form = row.partition(" ⇒ ")
    return re.compile(rf"(?:{label}){_TO_NUMBER}({form})(?![0-9A-Za-z])", re.IGNORECASE)


_LABELLED: Final = tuple(map(_compiled, _ROWS.strip().splitlines()))
