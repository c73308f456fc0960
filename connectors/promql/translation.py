"""A PromQL expression as one SQL statement: the parsed tree, from the leaves up.

A vector is a statement whose rows are (labels, t, v): the labels as a sorted map, a step in milliseconds since 1970,
the value. A series without a value at a step has no row there. A scalar is an SQL expression that may use the step `t`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

from connectors.promql.catalog import Catalog
from connectors.promql.functions import (
    AGGREGATES,
    ARITHMETIC,
    COMPARISONS,
    OF_VALUE,
    QUANTILE,
    RANGED,
)
from connectors.promql.labels import joined_label, replaced_label
from connectors.promql.matching import combined, joined, matching_of, nameless, projected, renamed
from connectors.promql.selectors import LOOKBACK_MS, NAME, Period, milliseconds, selected, template
from connectors.promql.values import Values, bad_query, filled, unsupported

DEEPEST: Final = 40
"""How many expressions within one another are translated; `evaluation` looks before it translates."""
"""Characters of an expression."""
_SETS: Final = frozenset({"and", "or", "unless"})


class Shape(StrEnum):
    """What an expression yields."""

    VECTOR = "vector"
    SCALAR = "scalar"
    MATRIX = "matrix"
    """The samples themselves."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: of a vector or matrix (labels, times, values as text), of a scalar (the last two)."""

    sql: str
    values: Mapping[str, str]
    shape: Shape
    order: int = 0
    """1: a vector at one step is sorted by value; -1: from the greatest down."""


@dataclass(frozen=True, slots=True)
class _Vector:
    sql: str


@dataclass(frozen=True, slots=True)
class _Scalar:
    sql: str


_Value = _Vector | _Scalar


def statement(tree: Expr, period: Period, catalog: Catalog) -> Statement:
    """Return the statement of an expression at the steps of a period. Raises BackendError."""
    made = _Translation(period, catalog, Values())
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if isinstance(tree, MatrixSelector):
        sql, shape = made.samples(tree), Shape.MATRIX
    else:
        found = made.value(tree)
        is_vector = isinstance(found, _Vector)
        shape = Shape.VECTOR if is_vector else Shape.SCALAR
        sql = found.sql if is_vector else f"SELECT t, toFloat64({found.sql}) AS v FROM {made.steps()}"
    labels = "labels, " if shape is not Shape.SCALAR else ""
    grouped = "\nGROUP BY labels ORDER BY labels" if labels else ""
    return Statement(
        f"SELECT {labels}arraySort(groupArray((t, toString(v)))) AS points FROM (\n{sql}\n){grouped}",
        {**made.values.bound, **made.steps_bound()},
        shape,
        _order(tree),
    )


def _order(tree: Expr) -> int:
    """Return how Prometheus orders the values at one step, 0 for not at all."""
    match tree:
        case AggregateExpr() if str(tree.op) in {"topk", "bottomk"}:
            return -1 if str(tree.op) == "topk" else 1
        case Call() if tree.func.name in {"sort", "sort_desc"}:
            return 1 if tree.func.name == "sort" else -1
        case _:
            return 0


@dataclass(slots=True)
class _Translation:
    """The translation of one expression."""

    period: Period
    catalog: Catalog
    values: Values

    def steps_bound(self) -> dict[str, str]:
        """Return the values that every statement has."""
        return {
            "start": str(self.period.start),
            "step": str(self.period.step),
            "steps": str(self.period.steps),
        }

    def steps(self) -> str:
        """Return the steps, as a table with the column t."""
        return "(SELECT {start:Int64} + {step:Int64} * toInt64(number) AS t FROM numbers({steps:Int64}))"

    def samples(self, tree: MatrixSelector) -> str:
        """Return a range of samples, as a vector whose steps are the samples' own times."""
        back = milliseconds(tree.range)
        found = self._selected(tree.vector_selector, back, keep_name=True)
        return f"SELECT labels, s.1 AS t, s.3 AS v FROM (\n{found}\n) ARRAY JOIN samples AS s WHERE NOT s.2"

    def value(self, tree: Any) -> _Value:  # noqa: C901, PLR0911  a case for each kind of expression
        """Return the translation of a vector or scalar, which is no deeper than DEEPEST."""
        match tree:
            case ParenExpr():
                return self.value(tree.expr)
            case NumberLiteral():
                return _Scalar(self.values.number(tree.val))
            case VectorSelector():
                return self._instant(tree, "x")
            case UnaryExpr():
                return self._negative(self.value(tree.expr))
            case BinaryExpr():
                return self._binary(tree)
            case AggregateExpr():
                return self._aggregate(tree)
            case Call():
                return self._call(tree)
            case SubqueryExpr():
                raise unsupported("subqueries")
            case MatrixSelector():
                raise bad_query("a range of samples stands where one value is needed")
            case StringLiteral():
                raise unsupported("expressions that are a text")
            case _:
                raise unsupported(f"expressions of the kind {type(tree).__name__}")

    def _vector(self, tree: Any) -> str:
        found = self.value(tree)
        if isinstance(found, _Scalar):
            raise bad_query("a scalar stands where a vector is needed")
        return found.sql

    def scalar(self, tree: Any) -> str:
        found = self.value(tree)
        if isinstance(found, _Vector):
            raise bad_query("a vector stands where a scalar is needed")
        return found.sql

    def _selected(self, selector: VectorSelector, back: int, *, keep_name: bool) -> str:
        return selected(selector, back, self.period, self.catalog, self.values, keep_name=keep_name).sql

    def _instant(self, selector: VectorSelector, value: str) -> _Vector:
        """Return the newest samples of a selector's series, or something of these."""
        parts = {
            "selected": self._selected(selector, LOOKBACK_MS, keep_name=True),
            "offset": self.values.integer(milliseconds(selector.offset)),
            "lookback": self.values.integer(LOOKBACK_MS),
            "value": value,
        }
        return _Vector(filled(template("instant"), parts))

    def _negative(self, found: _Value) -> _Value:
        if isinstance(found, _Scalar):
            return _Scalar(f"(-{found.sql})")
        return self._mapped(found.sql, "-x")

    def _mapped(self, sql: str, value: str) -> _Vector:
        """Return a vector with another value, made of x, and without a name."""
        return _Vector(f"SELECT {nameless('l')} AS labels, t, {value} AS v FROM {renamed(sql)}")

    def _binary(self, tree: BinaryExpr) -> _Value:  # noqa: C901  scalars and vectors on either side
        operator, modifier = str(tree.op), tree.modifier
        left, right = self.value(tree.lhs), self.value(tree.rhs)
        fill = modifier.fill_values if modifier is not None else None
        if fill is not None and (fill.lhs is not None or fill.rhs is not None):
            raise unsupported("fill modifier")
        if operator in _SETS:
            if isinstance(left, _Scalar) or isinstance(right, _Scalar):
                raise bad_query(f"{operator} needs a vector on both sides")
            return _Vector(combined(operator, left.sql, right.sql, matching_of(modifier), self.values))
        if operator not in ARITHMETIC and operator not in COMPARISONS:
            raise unsupported(f"operator {operator}")
        is_bool = modifier is not None and modifier.return_bool
        filters = operator in COMPARISONS and not is_bool

        def made(one: str, other: str) -> str:
            if operator in ARITHMETIC:
                return ARITHMETIC[operator].format(one, other)
            compared = f"({one} {COMPARISONS[operator]} {other})"
            return compared if filters else f"toFloat64({compared})"

        if isinstance(left, _Scalar) and isinstance(right, _Scalar):
            return _Scalar(made(left.sql, right.sql))
        if isinstance(left, _Vector) and isinstance(right, _Vector):
            matching = matching_of(modifier)
            return _Vector(
                joined(
                    left.sql, right.sql, matching, made, self.values, filters=filters, drops_name=not filters
                )
            )
        if isinstance(left, _Vector):
            sql, value = left.sql, made("x", right.sql)
        else:
            assert isinstance(right, _Vector)  # noqa: S101  the last of four cases
            sql, value = right.sql, made(left.sql, "x")
        if filters:
            return _Vector(f"SELECT l AS labels, t, x AS v FROM {renamed(sql)} WHERE {value}")
        return self._mapped(sql, value)

    def _aggregate(self, tree: AggregateExpr) -> _Vector:
        operator = str(tree.op)
        child = renamed(self._vector(tree.expr))
        group = self._group(tree)
        if operator in {"topk", "bottomk"}:
            order = "DESC" if operator == "topk" else "ASC"
            return _Vector(
                f"SELECT labels, t, v FROM (SELECT l AS labels, t, x AS v, row_number() OVER"
                f" (PARTITION BY {group}, t ORDER BY isNaN(x), x {order}) AS place FROM {child})\n"
                f"WHERE place <= {_number(tree.param, self)}"
            )
        if operator == "quantile":
            value = QUANTILE.format(q=self.scalar(tree.param))
            return _Vector(
                f"SELECT labels, t, {value} AS v FROM (SELECT {group} AS labels, t,"
                f" arraySort(groupArray(x)) AS sorted FROM {child} GROUP BY labels, t)"
            )
        if operator not in AGGREGATES:
            raise unsupported(f"aggregation {operator}")
        return _Vector(
            f"SELECT {group} AS labels, t, {AGGREGATES[operator]} AS v FROM {child} GROUP BY labels, t"
        )

    def _group(self, tree: AggregateExpr) -> str:
        modifier = tree.modifier
        if modifier is None:
            return projected("l", (), self.values, keep=True)
        if modifier.type == AggModifierType.By:
            return projected("l", modifier.labels, self.values, keep=True)
        return projected("l", [*modifier.labels, NAME], self.values, keep=False)

    def _call(self, tree: Call) -> _Value:  # noqa: C901, PLR0911  a case for each kind of function
        name, arguments = tree.func.name, list(tree.args)
        if name in RANGED:
            return self._ranged(name, arguments)
        if name in OF_VALUE:
            return self._of_value(name, arguments)
        match name:
            case "histogram_quantile":
                parts = {
                    "quantile": self.scalar(arguments[0]),
                    "buckets": renamed(self._vector(arguments[1])),
                }
                return _Vector(f"SELECT labels, t, v FROM (\n{filled(template('quantile'), parts)}\n)")
            case "time":
                return _Scalar("(t / 1000)")
            case "pi":
                return _Scalar(self.values.number(math.pi))
            case "vector":
                return _Vector(
                    f"SELECT {projected('', (), self.values, keep=True)} AS labels, t,"
                    f" toFloat64({self.scalar(arguments[0])}) AS v FROM {self.steps()}"
                )
            case "sort" | "sort_desc":
                return _Vector(self._vector(arguments[0]))
            case "timestamp":
                return self._timestamp(arguments[0])
            case "absent":
                return self._absent(arguments[0])
            case "label_replace":
                texts = [_text(argument) for argument in arguments[1:]]
                return _Vector(replaced_label(self._vector(arguments[0]), texts, self.values))
            case "label_join":
                texts = [_text(argument) for argument in arguments[1:]]
                return _Vector(joined_label(self._vector(arguments[0]), texts, self.values))
            case _:
                raise unsupported(f"function {name}")

    def _ranged(self, name: str, arguments: Sequence[Any]) -> _Vector:
        ranged = RANGED[name]
        others = [argument for argument in arguments if not isinstance(argument, MatrixSelector)]
        if any(isinstance(argument, SubqueryExpr) for argument in others):
            raise unsupported("subqueries")
        (matrix,) = (argument for argument in arguments if isinstance(argument, MatrixSelector))
        scalars = [self.scalar(argument) for argument in others]
        argument = scalars[0] if scalars else ""
        back = milliseconds(matrix.range)
        found = selected(
            matrix.vector_selector,
            back,
            self.period,
            self.catalog,
            self.values,
            keep_name=ranged.keeps_name,
        )
        parts = {
            "selected": found.sql,
            "offset": self.values.integer(milliseconds(matrix.vector_selector.offset)),
            "range": self.values.integer(back),
            "argument": argument,
            "quantile": QUANTILE.format(q=argument),
        }
        rows = filled(template("ranged"), parts)
        made = ", ".join(f"{filled(value, parts)} AS {part}" for part, value in ranged.parts.items())
        labels = "labels" if ranged.keeps_name or not found.has_name else nameless("labels")
        return _Vector(
            f"SELECT {labels} AS labels, t, {filled(ranged.value, parts)} AS v FROM (\n"
            f"SELECT any(labels) AS labels, t, {made} FROM (\n{rows}\n)\n"
            f"GROUP BY series, t HAVING count() >= {ranged.count}\n)"
        )

    def _of_value(self, name: str, arguments: Sequence[Any]) -> _Vector:
        sql = self._vector(arguments[0])
        scalars = [self.scalar(argument) for argument in arguments[1:]]
        made = self._mapped(sql, OF_VALUE[name]("x", *scalars))
        if name != "clamp":
            return made
        # Bounds that exclude one another leave nothing.
        return _Vector(f"{made.sql} WHERE {scalars[0]} <= {scalars[1]}")

    def _timestamp(self, tree: Any) -> _Vector:
        while isinstance(tree, ParenExpr):
            tree = tree.expr
        if isinstance(tree, VectorSelector):
            return self._mapped(self._instant(tree, "ts / 1000").sql, "x")
        return self._mapped(self._vector(tree), "t / 1000")

    def _absent(self, tree: Any) -> _Vector:
        """Return 1 at the steps without any series, with the labels that the selector's matchers say."""
        sql = self._vector(tree)
        while isinstance(tree, ParenExpr):
            tree = tree.expr
        said: dict[str, list[str]] = {}
        for one in tree.matchers.matchers if isinstance(tree, VectorSelector) else ():
            said.setdefault(one.name, []).append(one.value if one.op == MatchOp.Equal else "")
        pairs = [
            f"{self.values.text(name)}, {self.values.text(values[0])}"
            for name, values in sorted(said.items())
            if name != NAME and len(values) == 1 and values[0]
        ]
        labels = f"CAST(map({', '.join(pairs)}), 'Map(String, String)')"
        return _Vector(
            f"SELECT {labels} AS labels, t, toFloat64(1) AS v FROM {self.steps()}"
            f" WHERE t NOT IN (SELECT t FROM {renamed(sql)})"
        )


def _number(tree: Any, translation: _Translation) -> str:
    """Return the SQL of how many series topk and bottomk leave: an integer, as Prometheus cuts it."""
    return f"trunc({translation.scalar(tree)})"


def _text(tree: Any) -> str:
    if not isinstance(tree, StringLiteral):
        raise bad_query("a text in quotation marks is needed")
    return tree.val
