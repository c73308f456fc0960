"""Values that a name is given without a sign between: what is typed into a form's field, and the next element of HTML.

Also those that their own form shows, whatever stands around them: the words of a wallet, the digits behind a card.
"""

import re
from typing import Final

from privacy.literals import LINE, Literal, literal_at


def own_form(data: bytes, first: int) -> tuple[int, int] | None:
    """Return where the words of a wallet or a card's code are that are named at data[first:], None for others."""
    found = _CARD_CODE.match(data, first) or _WALLET.match(data, first)
    return found.span(1) if found else None


def filled(data: bytes, first: int, last: int, place: int) -> Literal | None:
    """Return what is typed into the field that the name data[first:last] finds, None where nothing is.

    By code, `locator("#password").fill("x")`, or by a browser's tool, `{"element": "Password field", "text": "x"}`.
    `place` is where the name's quotes and brackets end.
    """
    gap = _CALL.match(data, place)
    if not gap and _LOCATOR.search(data, max(0, first - 100), first):
        gap = _TEXT.match(data, last)
    return literal_at(data, gap.end()) if gap else None


def next_element(data: bytes, place: int) -> Literal | None:
    """Return the text of the element behind a name: `<th>Password</th><td>x</td>`."""
    found = _ELEMENT.match(data, place)
    return Literal(*found.span(1), is_quoted=False) if found else None


_BETWEEN: Final = rb"[\"'\\ \t]{0,8}"
_CARD_CODE: Final = re.compile(
    rb"(?i)(?:[a-z]{1,20}[_.-]?){0,2}?cv[vc]2?(?:[ _-]?(?:code|number))?[\])]?"
    + _BETWEEN
    + rb"(?:value=|[:=]|is)?"
    + _BETWEEN
    + rb"([0-9]{3,4})(?![0-9A-Za-z.])"
)
_WALLET: Final = re.compile(
    rb"(?i)(?:[a-z]{1,20}[_.-]?){0,2}?(?:mnemonic|seed|recovery|backup)[ _-]?(?:phrase|words)?"
    + _BETWEEN
    + rb"(?::|=|is)"
    + _BETWEEN
    + rb"([a-z]{3,8}(?:[ ,]{1,2}[a-z]{3,8}){11,23})(?![a-z])"
)
_CALL: Final = re.compile(
    rb"(?i)[\s})]{0,8}(?:"
    rb"\.(?:fill|type|val|send_?keys|set(?:_?value)?|press_?sequentially|input|enter_?text)\([ \t]*"
    rb"|\.value[ \t]*=[ \t]*|,[ \t]*with:[ \t]*|/i?\),[ \t]*"
    rb"|/?i?\)?,\s{0,20}\{\s{0,20}target:\s{0,20}\{\s{0,20}value:\s{0,20})(?=\\{0,7}[\"'`])"
)
_LOCATOR: Final = re.compile(
    rb"(?i)(?:element|selector|locator|label|placeholder|field|target|type)[\"'\\]{1,8}[ \t]*:[ \t]*"
    rb"[\"'\\]{1,8}[^\"'\\\n]{0,60}\Z"
)
_TEXT: Final = re.compile(
    rb"[^\"'\\\n]{0,40}[\"'\\\])]{1,12}[ \t]*,(?:\s{0,20}[\"'\\]{1,8}\w{1,20}[\"'\\]{1,8}[ \t]*:[ \t]*"
    rb"(?:[\"'\\]{1,8}[^\"'\\\n]{0,80}[\"'\\]{1,8}|[0-9a-z]{1,10})[ \t]*,){0,4}?\s{0,20}"
    rb"[\"'\\]{1,8}(?:text|value|keys)[\"'\\]{1,8}[ \t]*:[ \t]*(?=\\{0,7}[\"'])"
)
_ELEMENT: Final = re.compile(
    rb":?(?:</[a-z]{1,6}>)?(?:" + LINE + rb"|\s){0,40}<(?:td|dd|b|i|em|strong|code|kbd|span|p)"
    rb"(?:[ \t][^<>\n]{0,120})?>\s{0,40}([^\s<>\"'\\]{3,400})\s{0,40}<"
)
