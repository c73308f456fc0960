"""Two vectors as one in SQL: arithmetic and comparisons of series with the same labels, and the operations of sets.

Source: https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promql_parser import BinModifier, LabelModifierType, VectorMatchCardinality

from connectors.promql.selectors import NAME
from connectors.promql.values import Values

_MANY = "many-to-many matching not allowed: matching labels must be unique on one side"
_GROUP = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
MATCHING_ERRORS = (_MANY, _GROUP)
"""What the statement's own error says when series cannot be matched."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How series are matched. `card` is that of the modifier."""

    card: VectorMatchCardinality
    on: bool
    labels: Sequence[str]
    included: Sequence[str]


def matching_of(modifier: BinModifier | None) -> Matching:
    """Return what a modifier says, or that all labels must be the same."""
    if modifier is None:
        return Matching(VectorMatchCardinality.OneToOne, on=False, labels=(), included=())
    rule = modifier.matching
    return Matching(
        modifier.card,
        rule is not None and rule.type == LabelModifierType.Include,
        tuple(rule.labels) if rule is not None else (),
        tuple(modifier.group_labels or ()),
    )


def renamed(sql: str) -> str:
    """Return a vector with its columns as l, t, x: an expression may then make `labels` and `v` of them."""
    return f"(SELECT labels AS l, t, v AS x FROM (\n{sql}\n))"


def projected(labels: str, names: Sequence[str], values: Values, *, keep: bool) -> str:
    """Return the SQL of labels with no others than these, or without these."""
    if keep and not names:
        return "CAST(map(), 'Map(String, String)')"
    return f"mapFilter((key, value) -> key {'' if keep else 'NOT '}IN {values.texts(list(names))}, {labels})"


def nameless(labels: str) -> str:
    """Return the SQL of labels without the metric's name."""
    return f"mapFilter((key, value) -> key != '{NAME}', {labels})"


def joined(
    left: str,
    right: str,
    matching: Matching,
    operation: Callable[[str, str], str],
    values: Values,
    *,
    filters: bool,
    drops_name: bool,
) -> str:
    """Return the vector of an operation on the values of matched series; a filter keeps the left one's value."""
    is_swapped = matching.card == VectorMatchCardinality.OneToMany
    many, one = (right, left) if is_swapped else (left, right)
    key = _key(matching, values)
    value = operation("one.x", "many.x") if is_swapped else operation("many.x", "one.x")
    kept = "one.x" if is_swapped else "many.x"
    where = f"\nWHERE {value}" if filters else ""
    many_to_one = matching.card != VectorMatchCardinality.OneToOne
    if many_to_one:
        labels = nameless("many.l") if drops_name else "many.l"
        for name in matching.included:
            bound = values.text(name)
            labels = f"mapUpdate({labels}, map({bound}, one.l[{bound}]))"
        if matching.included:
            labels = f"mapSort(mapFilter((key, value) -> value != '', {labels}))"
    elif matching.on:
        labels = "many.key"
    else:
        labels = projected("many.l", [*matching.labels, *([NAME] if drops_name else [])], values, keep=False)
    joined_sql = (
        f"SELECT many.key AS key, {labels} AS labels, many.t AS t, {kept if filters else value} AS v\n"
        f"FROM (SELECT {key} AS key, l, t, x FROM {renamed(many)}) AS many\n"
        f"INNER JOIN (SELECT key, t, any(x) AS x, any(l) AS l FROM"
        f" (SELECT {key} AS key, l, t, x FROM {renamed(one)})\n"
        f"GROUP BY key, t HAVING NOT throwIf(count() > 1, '{_MANY}')) AS one\n"
        f"ON many.key = one.key AND many.t = one.t{where}"
    )
    if many_to_one:
        return f"SELECT labels, t, v FROM (\n{joined_sql}\n)"
    return (
        f"SELECT any(labels) AS labels, t, any(v) AS v FROM (SELECT key, labels, t, v FROM (\n{joined_sql}\n))\n"
        f"GROUP BY key, t HAVING NOT throwIf(count() > 1, '{_GROUP}')"
    )


def combined(operator: str, left: str, right: str, matching: Matching, values: Values) -> str:
    """Return `and`, `or` or `unless` of two vectors."""
    key = _key(matching, values)
    if operator == "or":
        more = f"(SELECT {key}, t FROM {renamed(left)})"
        return (
            f"SELECT labels, t, v FROM (\n{left}\n)\nUNION ALL\n"
            f"SELECT l AS labels, t, x AS v FROM {renamed(right)} WHERE ({key}, t) NOT IN {more}"
        )
    others = f"(SELECT {key}, t FROM {renamed(right)})"
    negated = "NOT " if operator == "unless" else ""
    return f"SELECT l AS labels, t, x AS v FROM {renamed(left)} WHERE ({key}, t) {negated}IN {others}"


def _key(matching: Matching, values: Values) -> str:
    """Return the SQL of the labels that must be the same."""
    if matching.on:
        return projected("l", matching.labels, values, keep=True)
    return projected("l", [*matching.labels, NAME], values, keep=False)
