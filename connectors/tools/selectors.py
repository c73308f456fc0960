"""Labels written into every selector of a PromQL query, and functions put around it.

The parsed tree says which selectors there are. The matchers are inserted into the text at their places, and the result
is parsed again and held against the tree: each selector must have its matchers and the new ones, and nothing else may
differ. So neither a quotation mark in a value nor a name that stands in several places changes what is asked.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import promql_parser

from access.refusal import Refusal, invalid
from connectors import promql_grammar
from connectors.contract import BackendError
from connectors.promql_grammar import TEXTS

_LABELS: Final = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE
)
"""Lists of labels, whose names may be those of metrics too."""
_WORD: Final = r"[A-Za-z0-9_:]"
_BUCKET: Final = "_bucket"


def parsed(query: str) -> Any | None:
    """Return the tree of a query, None for what is not PromQL. Longer or deeper ones than are parsed are None too."""
    try:
        return promql_grammar.parsed(query)
    except BackendError:
        return None


def fault(query: str) -> str:
    """Return why a query is not PromQL, in the grammar's words; empty when it is."""
    try:
        promql_grammar.parsed(query)
    except BackendError as error:
        return error.detail[:300] or "it is too long or too deep"
    return ""


def names(query: str) -> list[str]:
    """Return the names of the metrics in a query."""
    tree = parsed(query)
    return [] if tree is None else list(dict.fromkeys(one.name for one in _selectors(tree) if one.name))


def with_labels(query: str, labels: Mapping[str, str]) -> str:
    """Return the query with these labels in each selector. Raises Refusal where that cannot be done for sure."""
    tree = parsed(query)
    if not labels or tree is None:
        return query
    before = _selectors(tree)
    masked = query
    for part in (TEXTS, _LABELS):
        masked = part.sub(lambda found: "~" * len(found[0]), masked)
    inserted = ",".join(f"{name}={quoted(value)}" for name, value in labels.items())
    made, place = "", 0
    for selector in before:
        at = _place(masked, place, selector.name)
        if at is None:
            raise _unsure()
        end, has_braces = at
        rest = masked[end:].lstrip()
        made += query[place:end] + (
            inserted + ("" if rest.startswith("}") else ",") if has_braces else "{" + inserted + "}"
        )
        place = end
    made += query[place:]
    again = parsed(made)
    if again is None or not _is_same(before, _selectors(again), labels):
        raise _unsure()
    return made


def aggregated(query: str, aggregation: str) -> str:
    """Return the query with one of AGGREGATIONS around it, over all its series; of buckets the quantile of values."""
    if aggregation not in {"p95", "p99"}:
        return f"{aggregation}({query})"
    quantile = "0.95" if aggregation == "p95" else "0.99"
    tree = parsed(query)
    found = names(query)
    if isinstance(tree, promql_parser.VectorSelector) and found and found[0].endswith(_BUCKET):
        return f"histogram_quantile({quantile}, sum by (le) (rate({query}[5m])))"
    if found and all(name.endswith(_BUCKET) for name in found) and isinstance(tree, promql_parser.Call):
        return f"histogram_quantile({quantile}, sum by (le) ({query}))"
    return f"quantile({quantile}, {query})"


def quoted(text: str) -> str:
    """Return a text as a string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _selectors(tree: Any) -> list[Any]:
    found: list[Any] = []
    promql_parser.walk(
        tree, lambda node: found.append(node) if isinstance(node, promql_parser.VectorSelector) else None
    )
    return found


def _place(masked: str, begin: int, name: str | None) -> tuple[int, bool] | None:
    """Return where the next selector takes matchers, and whether it has braces already."""
    if name:
        pattern = rf"(?<!{_WORD}){re.escape(name)}(?!{_WORD})(?!\s*\()"
        for found in re.compile(pattern).finditer(masked, begin):
            brace = re.compile(r"\s*\{").match(masked, found.end())
            return (brace.end(), True) if brace else (found.end(), False)
    brace = re.compile(r"\{").search(masked, begin)
    return (brace.end(), True) if brace else None


def _is_same(before: list[Any], after: list[Any], labels: Mapping[str, str]) -> bool:
    """Whether the selectors differ in the new labels alone."""
    added = sorted((name, "=", value) for name, value in labels.items())
    return len(before) == len(after) and all(
        one.name == two.name
        and not one.matchers.or_matchers
        and sorted([*_matchers(one), *added]) == sorted(_matchers(two))
        for one, two in zip(before, after, strict=True)
    )


def _matchers(selector: Any) -> list[tuple[str, str, str]]:
    return [
        (one.name, _OPERATORS.get(str(one.op), str(one.op)), one.value) for one in selector.matchers.matchers
    ]


_OPERATORS: Final = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


def _unsure() -> Refusal:
    return invalid(
        "filters",
        "The labels cannot be put into this query for sure: write them into its selectors.",
        ('up{pod="web-1"}',),
    )
