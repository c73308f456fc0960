"""One name for a model, however a provider, a gateway or a person spells it.

`us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-4.5-sonnet`, `Claude Sonnet 4.5` and `claude-sonnet-4-5[1m]` are
one model at one price. The rules are data: `canonical` applies them in Python, and `sql` writes them as an expression
of ClickHouse, which the migrations have in them and a test compares. A name that says another model is left another.
"""

import re
from typing import Final

_ANY: Final = (
    # Any model: context, tag and date, as Bedrock and Vertex write them.
    (r"(-latest|[-@]20[0-9]{6}.*|@.*|-v[0-9]+(:[0-9]+)?|\[.*)$", ""),
)
_CLAUDE: Final = (
    (r"^.*claude", "claude"),  # the provider: anthropic/, us.anthropic., models/, arn:aws:…/
    (r"[\[@:(].*$", ""),  # the context, a tag, a version: [1m], @20250929, :thinking
    (r"[ ._/]+", "-"),
    (r"([0-9])([a-z]{3,})", r"\1-\2"),
    (r"([a-z]{3,})([0-9])", r"\1-\2"),
    (r"-+", "-"),
    (
        r"(-(latest|default|thinking|thought|v[0-9]+|20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]+[km]))+$",
        "",
    ),
    # From the fourth generation on the family comes first, before that the version.
    (r"^claude-([4-9]|[1-9][0-9])((-[0-9]{1,2})?)-([a-z]+)$", r"claude-\4-\1\2"),
    (r"^claude-([a-z]+)-3((-[0-9]{1,2})?)$", r"claude-3\2-\1"),
    (r"^(claude-[a-z]+-[0-9]+)-0$", r"\1"),
    (r"^claude-([0-9]+)-0-", r"claude-\1-"),
)
_LOWER: Final = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


def canonical(name: str) -> str:
    """Return the one name of a model; of one that is not known, its own in lower case, without date and context."""
    plain = name.strip(" ").translate(_LOWER)
    for pattern, replacement in _CLAUDE if "claude" in plain else _ANY:
        plain = re.sub(pattern, replacement, plain)
    return plain


def sql(expression: str) -> str:
    """Return the expression of ClickHouse that makes of another one's text what `canonical` makes of it."""
    plain = f"lower(trimBoth({expression}))"
    return f"if(position({plain}, 'claude') > 0, {_applied(_CLAUDE, plain)}, {_applied(_ANY, plain)})"


def _applied(rules: tuple[tuple[str, str], ...], plain: str) -> str:
    for pattern, replacement in rules:
        plain = f"replaceRegexpAll({plain}, {_quoted(pattern)}, {_quoted(replacement)})"
    return plain


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
