"""The value that belongs to a secret's name, wherever text puts it: behind `=`, in the next cell, line or argument.

A pattern of the rules finds a word such as `password` with a separator behind it. `values_of` reads the whole name
around that word, asks `privacy.names` what it says, finds the value, and asks `privacy.values` whether that is a
secret. What is replaced is the value alone, so that JSON stays JSON.

Every look back and ahead is bounded, so the time taken grows with the number of names in a text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from privacy.columns import column_values
from privacy.fields import filled, next_element, own_form
from privacy.literals import LINE, Literal, literal_at
from privacy.names import Strength, strength
from privacy.values import Form, is_secret

Spans: TypeAlias = Sequence[tuple[int, int]]
MAX_NAME: Final = 60
"""Bytes of a name on each side of the word that was found in it."""


def values_of(data: bytes, start: int, _: int) -> Spans:
    """Return where the values of the name at data[start:] are that are secrets; none if it names no secret."""
    first = _name_start(data, start)
    name = _IN_WORDS.match(data, first) or _NAME.match(data, start, start + MAX_NAME)
    last = name.end() if name else start
    if own := own_form(data, first):
        return (own,)
    while last > start and data[last - 1 : last] in b".-":
        last -= 1
    power = strength(data[first:last].decode("utf-8", "ignore"))
    if power is Strength.weak and _is_secret_key(data, first, last):
        power = Strength.strong
    if power is Strength.none or _RESOURCE_NAME.search(data, max(0, first - 80), first):
        return ()
    if below := _below(data, last, power):
        return below
    for literal, form, needs in _values(data, first, last, power):
        value = data[literal.start : literal.end].decode("utf-8", "replace")
        if is_secret(min(power, needs), value, Form.quoted if literal.is_quoted else form):
            return ((literal.start, literal.end),)
    if power >= Strength.literal:
        column = column_values(data, first, last)
        return [span for span in column if _is_secret_at(data, *span, Strength.vague)]
    return ()


def _below(data: bytes, last: int, power: Strength) -> Spans:
    """Return where the secrets are in the list or the object of JSON that is the value of the name that ends at `last`.

    The leaves alone are looked at, and none that describes: a schema has a `type` and a `description`.
    """
    opened = _JSON_OPENED.match(data, last)
    if not opened:
        return ()
    slashes = len(opened[1])
    spans: list[tuple[int, int]] = []
    place, depth, key = opened.end(), 1, b""
    for _ in range(_MOST_LEAVES):
        token = _JSON_TOKEN.match(data, place, last + MAX_BELOW)
        if not token:
            break
        place = token.end()
        if token[1]:
            depth += 1 if token[1] in b"[{" else -1
            if depth == 0:
                break
        elif token[2] is not None:
            start, end = token.start(2) + slashes + 1, token.end(2) - slashes - 1
            if colon := _JSON_COLON.match(data, place):
                place, key = colon.end(), data[start:end]
                continue
            if key not in _DESCRIBING and _is_secret_at(data, start, end, power):
                spans.append((start, end))
        elif key not in _DESCRIBING and _is_secret_at(data, *token.span(3), power):
            spans.append(token.span(3))
    return spans


def _is_secret_at(data: bytes, start: int, end: int, power: Strength) -> bool:
    return is_secret(power, data[start:end].decode("utf-8", "replace"), Form.quoted)


MAX_BELOW: Final = 4096
_MOST_LEAVES: Final = 100
_DESCRIBING: Final = frozenset(
    b"type description title format in name help label placeholder pattern $ref $comment summary required".split()
)
_JSON_OPENED: Final = re.compile(rb"(\\{0,7})[\"'][ \t]{0,8}:[ \t\r\n]{0,40}[\[{]")
_JSON_TOKEN: Final = re.compile(
    rb"(?:[\s,]|\\[nrt]){0,80}(?:([\[\]{}])"
    rb"|(\"(?:[^\"\\]|\\.){0,2000}\"|'[^'\n]{0,400}'|\\{1,7}\"(?:[^\"\\]){0,2000}\\{1,7}\")"
    rb"|([0-9]{3,40}|[A-Za-z]{4,5})(?=[\s,\]}\\]))"
)
_JSON_COLON: Final = re.compile(rb"(?:\s|\\[nrt]){0,20}:(?:\s|\\[nrt]){0,20}")


def names_its_sibling(pairs: Iterable[tuple[str, str]]) -> Callable[[str], str]:
    """Return a function from a record's key to the name that a sibling gives its value, "" where none does.

    In `{"name": "DB_PASSWORD", "value": "x"}` the value's name is `DB_PASSWORD`; a text that is none is "".
    """
    name = next((text for key, text in pairs if text and key.lower().encode() in _NAMES), "")
    return lambda key: name if name and key.lower().endswith(_VALUE_NAMES) else ""


_VALUE_NAMES: Final = ("value", "val", "content", "string", "body", "data", "default")


def _name_start(data: bytes, start: int) -> int:
    first = start
    lowest = max(0, start - MAX_NAME)
    while first > lowest and data[first - 1] in _NAME_BYTES:
        first -= 1
    # The n of an escaped line break is no part of the name.
    if first and data[first - 1 : first] == b"\\" and data[first : first + 1] in (b"n", b"r", b"t"):
        first = min(first + 1, start)
    # Nor is the end of a colour code.
    if data[first - 1 : first] in (b"[", b";"):
        colour = _COLOUR.search(data, max(0, first - 12), start)
        first = colour.end() if colour and colour.end() > first else first
    return first


def _values(data: bytes, first: int, last: int, power: Strength) -> Iterator[tuple[Literal, Form, Strength]]:
    """List the values that can belong to the name data[first:last], the likeliest first, and how to judge each."""
    closed = _CLOSE.match(data, last)
    place = closed.end() if closed else last
    quote = closed[0] if closed and _ONE_QUOTE.fullmatch(closed[0]) else b""
    before = data[max(0, first - 64) : first]
    assign = _ASSIGN.match(data, place)
    if assign:
        yield from _assigned(data, assign)
    is_flag = data[first : first + 1] == b"-" or before.endswith((b'"-', b"'-"))
    if is_flag:
        yield from _argument(data, place, is_closed=bool(quote))
    if quote or is_flag:
        comma = _COMMA.match(data, place)
        if comma and (literal := literal_at(data, comma.end())) and literal.is_quoted:
            # In a call or a pair; a list of names has names in it.
            yield (
                literal,
                Form.quoted,
                Strength.strong if (b"(" in before[-3:] and b")" not in quote) or is_flag else Strength.vague,
            )
    if typed := filled(data, first, last, place):
        yield typed, Form.quoted, Strength.strong
    yield from _sibling(data, first, place, before)
    yield from _marked_up(data, place, before)
    yield from _next_word(data, place, before, power, is_closed=bool(quote))


def _assigned(data: bytes, assign: re.Match[bytes]) -> Iterator[tuple[Literal, Form, Strength]]:
    place = assign.end()
    sign = assign[1]
    block = _BLOCK.match(data, place)
    if block and block[1]:
        yield from _lines(data, block)
        return
    if block and sign.startswith(b":"):
        yield from _folded(data, block)
        return
    continued = _CONTINUED.match(data, place)
    if continued:
        place = continued.end()
    typed = _TYPED.match(data, place)
    if typed:
        place = typed.end()
    opened = _OPENED.match(data, place)
    if opened:
        literal = literal_at(data, opened.end())
        if literal and literal.is_quoted:
            yield literal, Form.quoted, Strength.strong
        return
    literal = literal_at(data, place)
    if literal is None:
        return
    is_plain = (
        sign == b"=" and not assign[0].endswith((b" ", b"\t")) and not assign[0].startswith((b" ", b"\t"))
    )
    form = Form.plain if is_plain else Form.code
    fallback = _FALLBACK.match(data, place) if not literal.is_quoted else None
    if fallback:
        inner = literal_at(data, fallback.end())
        if inner and (inner.is_quoted or fallback[0].startswith(b"$")):
            end = min(inner.end, data.find(b"}", inner.start) if fallback[0].startswith(b"$") else inner.end)
            yield (
                Literal(inner.start, end if end > inner.start else inner.end, is_quoted=True),
                form,
                Strength.strong,
            )
        return
    yield literal, form, Strength.strong


def _lines(data: bytes, block: re.Match[bytes]) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield a YAML block scalar: all lines that are indented as the first."""
    indent = block[3]
    end = start = block.end()
    for _ in range(_MOST_LINES):
        line = _REST_OF_LINE.match(data, end)
        end = line.end() if line else end
        following = _INDENTED.match(data, end)
        if not following or len(following[1]) < len(indent):
            break
        end = following.end()
    if end > start:
        yield Literal(start, end, is_quoted=True), Form.quoted, Strength.strong


def _folded(data: bytes, block: re.Match[bytes]) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield what stands alone on the next, indented line: a folded header, or the item of a list."""
    if len(block[3]) == 0:
        return
    place = block.end()
    item = _ITEM.match(data, place)
    literal = literal_at(data, item.end() if item else place)
    if literal and _END_OF_LINE.match(data, literal.end):
        yield literal, Form.code, Strength.vague


def _argument(data: bytes, place: int, *, is_closed: bool) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield the argument behind a flag: after blanks, in the next element of a list, or on the next line of one."""
    gap = _BLANKS.match(data, place) or _NEXT_ITEM.match(data, place) or _NEXT_ELEMENT.match(data, place)
    if gap and data[gap.end() : gap.end() + 1] not in (b"-", b"|", b">", b"&", b";"):
        literal = literal_at(data, gap.end())
        # Behind a flag in quotes, the next element of the list is in quotes too, or a number.
        is_element = literal and (literal.is_quoted or data[literal.start : literal.end].isdigit())
        if literal and (is_element or not is_closed):
            yield literal, Form.argument, Strength.strong


def _sibling(data: bytes, first: int, place: int, before: bytes) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield the value of a record whose name is the secret's: {"name": "DB_PASSWORD", "value": "x"}."""
    if before.endswith(_VARIABLES):
        default = _DEFAULT.match(data, place)
        if default and (literal := literal_at(data, default.end())):
            yield literal, Form.code, Strength.strong
    if not _is_named(before):
        return
    value = _VALUE.match(data, place)
    if value:
        literal = literal_at(data, value.end())
        if literal:
            yield literal, Form.plain, Strength.strong
        return
    earlier = max(0, first - 240)
    for found in _VALUE_BEFORE.finditer(data, earlier, first):
        if _NAME_AFTER.fullmatch(data, found.end(), first):
            yield Literal(*found.span(1), is_quoted=True), Form.quoted, Strength.strong


def _marked_up(data: bytes, place: int, before: bytes) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield the text of an element of XML, the cell of a table, and the body of a form's part."""
    element = _ELEMENT.match(data, place) if b"<" in before or data[place : place + 1] == b"<" else None
    if element:
        yield Literal(*element.span(1), is_quoted=False), Form.code, Strength.strong
    if behind := next_element(data, place):
        yield behind, Form.code, Strength.vague
    cell = _CELL.match(data, place)
    if cell:
        yield Literal(*cell.span(1), is_quoted=False), Form.code, Strength.vague
    row = _ROW.match(data, place) if _begins_cell(before) else None
    if row:
        yield Literal(*row.span(1), is_quoted=False), Form.code, Strength.vague
    part = _FORM_PART.match(data, place) if before.endswith(_FORM_NAMES) else None
    if part:
        yield Literal(*part.span(1), is_quoted=False), Form.plain, Strength.strong


def _next_word(
    data: bytes,
    place: int,
    before: bytes,
    power: Strength,
    *,
    is_closed: bool,
) -> Iterator[tuple[Literal, Form, Strength]]:
    """Yield what follows after blanks: in a command that sets a variable, after `is`, and where it cannot be a word."""
    option = (
        _OPTION.match(data, place)
        if any(word in before for word in _SECRET_STORES) and _SETS_SECRET.search(before)
        else None
    )
    if option and (literal := literal_at(data, option.end())):
        yield literal, Form.argument, Strength.strong
    distant = _DISTANT.match(data, place) if power is Strength.strong else None
    if distant and (literal := literal_at(data, distant.end())):
        yield literal, Form.prose, Strength.strong
    here = _HERE.match(data, place)
    if here and (literal := literal_at(data, here.end())):
        yield literal, Form.argument, Strength.strong
    expected = _EXPECTED.match(data, place)
    if expected and (literal := literal_at(data, expected.end())):
        yield literal, Form.quoted, Strength.vague
    gap = _WORD_GAP.match(data, place)
    if not gap or gap.end() >= len(data):
        return
    literal = literal_at(data, gap.end())
    if literal is None:
        return
    if _sets(before):
        yield literal, Form.argument, Strength.strong
    elif gap[1] or literal.is_quoted or gap[0].startswith(b"("):
        yield literal, Form.code, Strength.vague
    elif not is_closed and power >= Strength.vague and literal.end - literal.start >= 7:  # noqa: PLR2004
        yield literal, Form.prose, Strength.strong


def _is_secret_key(data: bytes, first: int, last: int) -> bool:
    """Whether a key is one of an API, in two words: `API key`."""
    before = data[max(0, first - 16) : first]
    return (
        before.endswith(b" ")
        and data[first:last].lower() == b"key"
        and before.rstrip().lower().endswith(_KEYS)
    )


def _is_named(before: bytes) -> bool:
    """Whether a name is itself the value of a field such as `name` or `key`."""
    field = before.rstrip(_QUOTED)
    return field.endswith((b":", b"=", b">")) and field[:-1].rstrip(_QUOTED).lower().endswith(_NAMES)


def _begins_cell(before: bytes) -> bool:
    """Whether nothing stands before a name in its line or its cell of a table."""
    tail = before[:-1] if before.endswith((b"+", b"-")) else before
    return not tail or tail.endswith((b"\n", b",", b";", b"\t", b'"', b"\\n", b"m"))


def _sets(before: bytes) -> bool:
    """Whether a command that sets a variable, a secret or a header ends before the name: `setx`, `gh secret set`."""
    words = before.lower().rstrip(b"\"'").split()[-5:]
    if words and not before.endswith((b" ", b"\t", b'"', b"'")):
        # The path of npm's registry stands before the name of its token.
        if not before.endswith((b":", b"/")):
            return False
        words.pop()
    flags = 0
    while words and words[-1].startswith(b"-"):
        flags += 1
        words.pop()
    last, store = (words[-1], words[-2] if len(words) > 1 else b"") if words else (b"", b"")
    if last in (b"set", b"put", b"add", b"create"):
        return (flags > 0 and last == b"set") or store in _STORES
    return last.lstrip(b"\"'`($") in _SETTERS or last.endswith(
        (b"\\nenv", b"\\nsetx", b"\\nset", b"\\nsetenv", b"\\narg")
    )


_KEYS: Final = (b"api", b"access", b"secret", b"private", b"license", b"licence", b"encryption", b"signing")
_QUOTED: Final = b" \t\"'\\"
_NAMES: Final = tuple(
    b"name key field header var variable id label property env option title param attribute".split()
)
_VARIABLES: Final = (b'variable "', b'variable \\"')
_SECRET_STORES: Final = (b"ecret", b"arameter", b"ariable", b"-name", b"-Name")
_STORES: Final = frozenset(b"secret secrets config configure variable variables".split())
_SETTERS: Final = frozenset(b"setx setenv env arg proxy_set_header header add_header".split())
_NAME_BYTES: Final = frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-."
) | frozenset(range(128, 256))
_RESOURCE_NAME: Final = re.compile(rb"arn:[^\s\"']{0,80}:\Z")
_COLOUR: Final = re.compile(rb"\[[0-9;]{0,9}m")
_NAME: Final = re.compile(
    rb"(?:[0-9A-Za-z_.-]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xe2\xe4-\xee][\x80-\xbf]{2}|\xe3[\x81-\xbf][\x80-\xbf])*"
)
_IN_WORDS: Final = re.compile(
    rb"(?i)(?:(?:seed|recovery|backup|mnemonic)[ -](?:phrases?|words|codes?)|(?:verification|pin)[ -]code"
    rb"|(?:api|access|secret|private|licen[cs]e|encryption|signing|master|account)[ -]key)\b"
)
_CLOSE: Final = re.compile(rb"(?:\\{0,7}[\"'`]|[\])}*?!]|</(?:b|strong|code|th|td|dt)>){1,6}")
# With the brackets of `input[name=password]'` and of `find('password')`.
_ONE_QUOTE: Final = re.compile(rb"[\])}]{0,2}\\{0,7}[\"'`]\)?")
_CONTINUED: Final = re.compile(
    rb"\\\r?\n[ \t]{0,40}|(?:<(?:b|i|em|strong|code|kbd|tt|span)(?:[ \t][^<>]{0,120})?>)+"
)
_ASSIGN: Final = re.compile(
    rb"(?:[ \t]*\{[ \t]*get;[^{}\n]{0,30}\})?(?:[ \t]{1,4}(?:string|str|text|char\[\]|value|provided|used|"
    rb"given|supplied|found))?"
    rb"[ \t]{0,40}(=>|:=|->|<{1,2}-|[|?+:.~&]{0,2}={1,3}|:{1,2}\*{0,2}(?:\\{0,3}[\"'](?=[ \t]))?|\xef\xbc[\x9a\x9d]|"
    rb"%3[ADad])[ \t]{0,40}(?:>(?=[\"']))?"
)
_BLOCK: Final = re.compile(rb"([|>][-+0-9]{0,2})?[ \t]{0,8}(" + LINE + rb")([ \t]*)")
_REST_OF_LINE: Final = re.compile(rb"(?:[^\r\n\\\"]|\\[^nr\"])*")
_INDENTED: Final = re.compile(LINE + rb"([ \t]+)")
_MOST_LINES: Final = 64
_ITEM: Final = re.compile(rb"-[ \t]+")
_END_OF_LINE: Final = re.compile(rb"[\"']?[ \t]*(?:\Z|\r|\n|\\[rn]|\\?\"|\x1b)")
_TYPED: Final = re.compile(
    rb"(?:&(?:'[a-z]+[ \t]*)?|\*|\[\])?[A-Za-z_][A-Za-z0-9_.]{0,30}(?:[<\[][A-Za-z0-9_<>\[\], .|]{0,40}[>\]])?"
    rb"(?:[ \t]*\|[ \t]*[A-Za-z]{1,20}){0,3}\??[ \t]*=[ \t]*(?=[\\\"'`bfruN])"
)
_OPENED: Final = re.compile(
    rb"(?:\[[\s\\n]{0,20}|\{[\s\\nrt]{0,20}\\{0,7}[\"']?(?:value|current|plain|plaintext|raw|secret|default|"
    rb"stringValue|text|data)"
    rb"\\{0,7}[\"']?[ \t]*[:=][ \t]*)(?=\\{0,7}[\"'])"
)
_FALLBACK: Final = re.compile(
    rb"\$\{[A-Za-z_][A-Za-z0-9_.]{0,60}:[-=]?|[A-Za-z_$][^\n\"'`;]{0,60}?(?:\|\||\?\?|\bor\b)[ \t]*(?=[\"'`])"
)
_BLANKS: Final = re.compile(rb"[ \t]{1,8}(?:\\\r?\n[ \t]*)?")
_NEXT_ITEM: Final = re.compile(rb"[ \t]{0,4}" + LINE + rb"[ \t]*-[ \t]+")
_NEXT_ELEMENT: Final = re.compile(rb"[ \t]*,(?:[ \t]|\\?[rn]){0,20}" + rb"(?:" + LINE + rb"[ \t]*)?")
_COMMA: Final = re.compile(rb"[ \t]*,[ \t]*(?:" + LINE + rb"[ \t]*)?")
_VALUE: Final = re.compile(
    rb"(?i)[ \t]*[,;]?(?:\s|\\[nrt]|" + LINE + rb"[ \t]*){0,12}"
    rb"(?:[\"'\\]{0,8}[a-z]{2,20}[\"'\\]{0,8}[ \t]*[:=][ \t]*(?:[\"'\\]{1,8}[^\"'\\\n,{}]{0,60}[\"'\\]{1,8}|"
    rb"[a-z0-9]{1,20})[ \t]*,?"
    rb"(?:\s|\\[nrt]|" + LINE + rb"[ \t]*){0,12}){0,3}"
    rb"[\"'\\]{0,8}(?:[a-z]{0,20}value|val|content|string|body)[\"'\\]{0,8}[ \t]*[:=][ \t]*"
    rb"(?:\{[\s\"'\\]{0,12}[a-z]{0,12}value[\"'\\]{0,8}[ \t]*:[ \t]*)?"
)
_VALUE_BEFORE: Final = re.compile(
    rb"(?i)value[\"'\\]{0,8}[ \t]*[:=][ \t]*\\{0,7}[\"']([^\"'\\\n]{3,160})\\{0,7}[\"']"
)
_NAME_AFTER: Final = re.compile(
    rb"(?i)[ \t]*,?(?:\s|\\[nrt]){0,12}[\"'\\]{0,8}[a-z]{2,20}[\"'\\]{0,8}[ \t]*[:=][ \t]*[\"'\\]{0,8}"
)
_DEFAULT: Final = re.compile(
    rb"[ \t]*\{(?:" + LINE + rb"[^\n\\]{0,120}){0,4}?" + LINE + rb"[ \t]*default[ \t]*=[ \t]*"
)
_ELEMENT: Final = re.compile(
    rb"(?:[ \t][^<>\n]{0,120})?(?:>|</key>(?:\s|\\[nrt]|[0-9+-]){0,20}<string>)(?:"
    + LINE
    + rb"|\s|\\t){0,40}"
    rb"([^\s<>\"'\\]{3,512})(?:" + LINE + rb"|\s|\\t){0,40}<"
)
_CELL: Final = re.compile(
    rb"[`\"']?[ \t]{0,40}\|(?!\|)[ \t]{0,40}[`\"']?([^\s|`\"'\\]{3,400})[`\"']?[ \t]{0,80}(?:\||\Z|\r|\n|"
    rb"\\[nr]|\"|\x1b)"
)
_ROW: Final = re.compile(rb"[,;\t]([^\s,;\"'\\]{5,199}[^\s,;\"'\\\]])\]?(?:[,;\t]|\Z|\r|\n|\\[nr]|\"|\x1b)")
_FORM_NAMES: Final = (b'name="', b"name='", b'name=\\"')
_FORM_PART: Final = re.compile(LINE + LINE + rb"([^\r\n\\]{3,200})")
_SETS_SECRET: Final = re.compile(
    rb"(?i)(?:secrets?|parameter|variable)[ \t]+[^\n|;]{0,40}\Z|--?[Nn]ame[ =:][^\s]{0,60}\Z"
)
_OPTION: Final = re.compile(rb"[^\n|;]{0,120}?[ \t](?:--body|-b|--?[Vv]alue|--secret-string|-v)[ =]?")
_DISTANT: Final = re.compile(
    rb"[ \t](?:for|to|is|was|of)[ \t][^\n:=\"`]{1,60}[:=](?:" + LINE + rb"|[ \t]){1,4}"
)
_HERE: Final = re.compile(rb"[ \t][^\n|;]{0,60}?<<<[ \t]*")
_EXPECTED: Final = re.compile(rb"\)?\.(?:to[A-Z][A-Za-z]{1,20}|equals?|eq)\([ \t]*(?=\\{0,7}[\"'])")
_WORD_GAP: Final = re.compile(
    rb"[ \t]{1,4}(?:(is|was|are|is set to|set to|to be|to|value|=|as)[ \t]*:?[ \t]{1,4}(?:now[ \t]+)?)?|"
    rb"\([ \t]*(?=N?\\{0,7}[\"'])|\\?\t|\\t"
)
