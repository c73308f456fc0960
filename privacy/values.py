"""Whether a value under a name that says secret is one, and no placeholder, type, expression, identifier or word.

What a value must be depends on how much its name says (`privacy.names.Strength`) and on whether it stands in quotes.
Guarantees a time that is linear in the value's length; its first MAX_LOOKED_AT characters decide.
"""

import re
from enum import Enum
from typing import Final

from privacy.names import Strength, segments, strength, words

MAX_LOOKED_AT: Final = 512


class Form(Enum):
    """How a value stands in a text, which says what else than a secret it can be.

    `quoted`: a literal. `plain`: behind a `=` without blanks. `argument`: behind a flag or a command. `code`: where an
    expression can be. `prose`: behind a word, without a sign between.
    """

    quoted = "quoted"
    plain = "plain"
    argument = "argument"
    code = "code"
    prose = "prose"


def hides(name: str, value: str) -> bool:
    """Whether `value`, all of it, is a secret because it stands under `name`; for keys of structures.

    Numbers are given as their text: `12345678` under `db.password` is a secret, `12` under `token` none.
    """
    return is_secret(strength(name), value, Form.quoted)


def is_secret(power: Strength, value: str, form: Form) -> bool:  # noqa: C901, PLR0911  one reason a line
    """Whether a value that stands in this form is a secret under a name of this strength."""
    text = value[:MAX_LOOKED_AT].strip(" \t\r\n\"'`\\")
    lowered = text.lower().rstrip(".,:;!?)]}")
    if power is Strength.none or len(text) < _SHORTEST or lowered in _NO_SECRET or is_placeholder(text):
        return False
    if (form is not Form.quoted and is_expression(text)) or (_PATH.fullmatch(text) and _is_wordy(text)):
        return False
    if power is Strength.weak:
        return is_long_and_mixed(text)
    if text.isdigit():
        return form is not Form.prose and len(text) >= (
            _SHORTEST_CODE if power < Strength.strong else _SHORTEST + 1
        )
    if _TYPE.fullmatch(text) or (" " in text and _is_prose(lowered)):
        return False
    if _URL.match(text):
        return "@" in text or any(map(is_long_and_mixed, _URL_PARTS.split(text)))
    if form is Form.prose:
        # Only a sign, such as `=`, says that what follows is a value, so here it must not be a word.
        if power is Strength.strong:
            return is_no_word(text) and bool(_NUMBERED.search(text) or not _SLUG.fullmatch(text))
        is_hash = _HEX.fullmatch(text) and len(text) < _LONG_HEX
        return is_no_word(text) and not is_hash and not _is_wordy(text)
    is_name = bool(_IDENTIFIER.fullmatch(text) or _SLUG.fullmatch(text))
    if power is Strength.literal and form is Form.quoted and not (_SLUG.fullmatch(text) and _is_wordy(text)):
        power = Strength.strong
    if power is not Strength.strong:
        return is_no_word(text) and not _names_a_secret(text)
    if not is_name or any(map(str.isdigit, text)):
        return True
    return not _names_a_secret(text) and (form in (Form.quoted, Form.plain) or len(text) >= 20)  # noqa: PLR2004


def is_placeholder(text: str) -> bool:
    """Whether a text holds the place of a value: `your-api-key`, `<password>`, `${X}`, `%X%`, `xxxx`, `example`."""
    return bool(_PLACEHOLDER.fullmatch(text) or _EXAMPLE.search(text[:120].lower()))


def is_expression(text: str) -> bool:
    """Whether a text is code that yields a value: `config.token`, `os.environ["X"]`, `get_token()`, `a ? b : c`."""
    dotted = _DOTTED.match(text)
    is_dotted = (
        dotted is not None and _is_wordy(dotted[0].rstrip(";,)")) and _AFTER_DOTTED.match(text, dotted.end())
    )
    return bool(is_dotted or _CALL.match(text) or _OPERATOR.match(text))


def is_no_word(text: str) -> bool:
    """Whether a text is too long or too mixed to be a word of a sentence or a name in a program."""
    if _IDENTIFIER.fullmatch(text) or _SLUG.fullmatch(text):
        if _is_wordy(text) and not _IDENTIFIER.fullmatch(text):
            return False
        return (len(text) >= 6 and any(map(str.isdigit, text)) and not _ALGORITHM.fullmatch(text)) or (  # noqa: PLR2004
            len(text) >= 20 and not _is_wordy(text)  # noqa: PLR2004
        )
    return (len(text) >= 6 and any(map(str.isdigit, text))) or len(text) >= 20  # noqa: PLR2004


def is_long_and_mixed(text: str) -> bool:
    """Whether a text is as long and as mixed as generated secrets are, and no id, path, slug or sentence."""
    if len(text) < 16 or " " in text or _UUID.fullmatch(text):  # noqa: PLR2004
        return False
    if _HEX.fullmatch(text):
        return len(text) >= 32  # noqa: PLR2004
    # A name with a hash in it is a key of a cache or a file.
    parts = [part for part in _NAMED_HASH.split(text) if part]
    is_named_hash = len(parts) > 1 and all(_WORD.fullmatch(part) or _HASH.fullmatch(part) for part in parts)
    return not is_named_hash and _kinds(text) >= 2 and bool(_RANDOM.fullmatch(text))  # noqa: PLR2004


def _kinds(text: str) -> int:
    return sum(map(bool, (_LOWER.search(text), _UPPER.search(text), _DIGIT.search(text))))


def _is_wordy(text: str) -> bool:
    """Whether every part of a text reads as a word, a short number or a version."""
    parts = [part for part in _PARTS.split(text) if part]
    return all(_WORD.fullmatch(part) for part in parts)


def _names_a_secret(text: str) -> bool:
    """Whether a value is itself a name such as `accessToken` or `db_password`."""
    return _is_wordy(text) and (
        strength(text) >= Strength.vague or any(part in _SECRET_WORDS for part in segments(text))
    )


def _is_prose(lowered: str) -> bool:
    """Whether a text is a sentence of a form or a document about secrets."""
    return any(word in _PROSE or word in _SECRET_WORDS for word in _LETTERS.findall(lowered)) or (
        strength(lowered.split(maxsplit=1)[0]) >= Strength.strong
    )


_LETTERS: Final = re.compile(r"[a-z']+")
_SHORTEST: Final = 3
_SHORTEST_CODE: Final = 6

_PLACEHOLDER: Final = re.compile(
    r"\$\{[^}]*\}?|\$\(.*|\$[A-Za-z_][A-Za-z0-9_:]*|\$env:.*|%[({][^)}]*[)}]?[sd]?|%[A-Za-z_][A-Za-z0-9_]*%|%[sdrvq@]"
    r"|\{[^{}]*\}?|\{.*\}|<[^<>]*>?|\[.*\]|\([^()]*\)|\((?:known|sensitive|hidden|not|none|unset|unchanged|redacted)\b.*|#\{.*|#[a-z]+#|@\w+\(.*|&[a-z]+;.*|__[A-Z0-9_]+__|\?+"
    r"|/\^.*|!(?:Ref|Sub|GetAtt|ImportValue|env|secret)\b.*|[*x.X_=-]+|[^0-9A-Za-z\x80-\U0010FFFF]*"
    r"|[A-Za-z]?x{4,}[A-Za-z0-9]*|[A-Za-z_-]*[*\u2022.]{3,}[A-Za-z0-9]{0,6}",
    re.DOTALL,
)
_EXAMPLE: Final = re.compile(
    r"(?:^|[^a-z0-9])(?:your|my|some|the|a|an|enter|insert|put|paste|replace|set|todo|fixme)[ _-]?"
    r"(?:own|real|actual|new|secret|super|api|app|access|auth|client|private|github|openai|anthropic|db|database"
    r"|key|token|pass|pwd|value|here|this|me|with|in|it)(?:[^a-z]|$|word|phrase)"
    r"|(?:^|[^a-z0-9])(?:your|yours)(?:[^a-z0-9]|$)"
    r"|example|placeholder|change[_ -]?(?:me|it|this)|redacted|dummy[_ -]|replace[_ -]?me|insert[_ -]|"
    r"not[_ -]?(?:a|so|set)[_ -]"
    r"|goes[_ -]here|[_ -]here\b|xxxxx|\.\.\.|\u2026|hidden>|masked"
    r"|^(?:test|fake|mock|dummy|sample|foo|bar|baz)"
    r"(?:$|(?:[_ -]?(?:key|token|secret|password|pass|value|api[_ -]?key|credential))+[_-]?[0-9]{0,3}$)"
)
_CALL: Final = re.compile(
    r"(?:await |new |yield |return |typeof |lambda\b|async |function\b|not |f?\()?"
    r"[A-Za-z_$][\w$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)*(?:!?\(|\[|<[A-Z]|\{|\?\.)"
    r"|(?:os|self|this|process|env|cls|req|request|ctx|config|settings|args|options|props|var|local|data|module|secrets"
    r"|vars|inputs|steps|github|needs|params|state|user|event|response|res|opts|cfg|conf|each|vault)\."
)
_DOTTED: Final = re.compile(r"[A-Za-z_$@&*][\w$-]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$-]*)+[;,)]*")
_AFTER_DOTTED: Final = re.compile(r"\Z|[)}\];,]")
_OPERATOR: Final = re.compile(r"[|&=!?<>]{1,3}(?:\s|$)|[A-Za-z_]\w* (?:[|&=!?+<>-]|\?\?|or|and|if|in|is) ")
_TYPE: Final = re.compile(
    r"(?:&?(?:'\w+ )?|\*|\[\]|\?)?(?:[Ss]tring|str|[Bb]ytes?|[Bb]uffer|[Cc]har|[Tt]ext|varchar|VARCHAR|TEXT|"
    r"[Ii]nt(?:eger)?"
    r"|[Bb]ool(?:ean)?|[Nn]umber|[Ff]loat|[Oo]bject|[Aa]ny|[Uu]nknown|SecretStr|Secret|Optional|Option|Maybe|Promise"
    r"|Record|Array|List|Dict|Vec|u8|Uint8Array|char\[\]|interface|never|void|UUID|uuid|Date|Enum|password|secret"
    r"|format|readonly|write[Oo]nly|hash(?:ed)?|keyword|required|optional|nullable)"
    r"(?:\[\]|\?|!|[<\[(|].*|\s*\|.*|\s*=.*|\s*,.*|\s*NOT NULL.*)?"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NUMBERED: Final = re.compile(r"\A[A-Z][a-z]+_[0-9]{2,5}\Z")
_LONG_HEX: Final = 32
_SLUG: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_./:@][A-Za-z0-9]+)+")
_PARTS: Final = re.compile(r"[-_./:@ ]+|(?<=[a-z])(?=[A-Z])")
_WORD: Final = re.compile(
    r"[A-Z]?[a-z]{0,24}|[A-Z]{1,16}s?|[0-9]{1,4}|v[0-9]{1,3}|[a-zA-Z]{2,}[0-9]{1,2}|(?:sha|md|aes|utf|oauth|s|"
    r"ec|k)[0-9]{1,3}|[0-9]+[a-z]"
)
_ALGORITHM: Final = re.compile(
    r"(?:[HRPE]S|SHA|MD|AES|UTF|[Bb]ase|[Oo][Aa]uth|sha|md|utf)[-_]?[0-9]{1,3}\w{0,10}"
)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://")
_URL_PARTS: Final = re.compile(r"[/?&=#:@]")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_RANDOM: Final = re.compile(r"[A-Za-z0-9+/=_.~%:-]+")
_NAMED_HASH: Final = re.compile(r"[-_./]+|(?<=[a-z])(?=[A-Z])")
_HASH: Final = re.compile(r"[0-9a-f]{6,128}")
_PATH: Final = re.compile(r"(?:~|\.{0,2})/[\w./ -]*|[A-Za-z]:[\\/].*")
_LOWER: Final = re.compile("[a-z]")
_UPPER: Final = re.compile("[A-Z]")
_DIGIT: Final = re.compile("[0-9]")

_SECRET_WORDS: Final = words(
    "password passwd passphrase secret secrets token tokens credential credentials apikey auth key pwd"
)
_NO_SECRET: Final = words(
    """null none nil undefined true false yes no empty unset redacted hidden masked changeme disabled enabled
    your_password str string bytes bool boolean int integer number float any object optional option
    secretstr unknown text required incorrect invalid missing wrong must should is are was not expired
    todo tbd fixme n/a field fields the a an and or for from with this that await async new function lambda if else
    return input prompt password secret token default auto never always automatic manual off on
    failed failure error success ok denied accepted rejected protected encrypted plaintext"""
)
_PROSE: Final = words(
    """your you must should please enter required invalid incorrect least cannot match characters confirm forgot reset
    choose used user users optional returns default"""
)
