"""Labels that PromQL makes of others, as SQL: label_replace and label_join."""

import re
from collections.abc import Sequence
from typing import Final

from connectors.promql.matching import renamed
from connectors.promql.selectors import whole
from connectors.promql.values import Values, bad_query, unsupported

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_REFERENCE: Final = re.compile(r"\$(?:\$|(\d)(?![0-9A-Za-z_])|\{(\d)\}|(.?))", re.DOTALL)


def replaced_label(sql: str, texts: Sequence[str], values: Values) -> str:
    """Return a vector with a label made of another by a regular expression, where it matches the whole value."""
    target, replacement, source, pattern = texts
    _check(target)
    old = f"l[{values.text(source)}]"
    found = values.text(whole(pattern))
    made = f"replaceRegexpOne({old}, {found}, {values.text(_replacement(replacement))})"
    label = values.text(target)
    value = f"if(match({old}, {found}), {made}, l[{label}])"
    return _with(sql, label, value)


def joined_label(sql: str, texts: Sequence[str], values: Values) -> str:
    """Return a vector with a label that is others joined by a separator."""
    target, separator, *sources = texts
    _check(target)
    parts = ", ".join(f"l[{values.text(source)}]" for source in sources)
    return _with(sql, values.text(target), f"arrayStringConcat([{parts}], {values.text(separator)})")


def _with(sql: str, label: str, value: str) -> str:
    labels = f"mapSort(mapFilter((key, value) -> value != '', mapUpdate(l, map({label}, {value}))))"
    return f"SELECT {labels} AS labels, t, x AS v FROM {renamed(sql)}"


def _check(label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise bad_query("the label to be made has no valid name")


def _replacement(text: str) -> str:
    r"""Return a replacement as ClickHouse has it: `$1` is `\1`."""

    def reference(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        number = found[1] or found[2]
        if number is None:
            raise unsupported("replacement by a group's name in label_replace")
        return f"\\{number}"

    return _REFERENCE.sub(reference, text.replace("\\", "\\\\"))
