"""Functions whose cost a row grows with the square of a text: bounded or refused in a reader's statement.

The engine looks at its limits between blocks, never within a function. So one call of `editDistance` on two long texts
would run for minutes after its client is gone. In a reader's statement such a function gets texts that are known to be
short, or its arguments are wrapped in a check of their length; and the engine takes few rows at a time. Where no bound
helps, the function is refused.

A test runs every function of the engine with large arguments and holds these lists to it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import QueryError, not_allowed
from gateway.tree import Node, arguments, call, nodes, number, text, text_of, words

_LINEAR: Final = re.compile(r"(?:[^*+{?|\\]|\\[^pPCQbB])*")
"""Patterns without repetition and alternatives, which look at each place of a text once."""
_AS_LONG: Final = words("concat lower upper lowerutf8 upperutf8 trim trimboth trimleft trimright array tuple")
"""Functions whose result is no longer than their arguments together."""
_PARTS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("substring", "substr", "mid", "left", "right"), 1),
    **dict.fromkeys(("substringutf8", "leftutf8", "rightutf8"), 4),
}
"""Functions whose last argument says how many characters of a text they take, and the bytes of a character."""
_TEXTS_OF_JSON: Final = "Array(String)"
_NUMBER_GROWS: Final = 6
"""How much longer a number of JSON becomes as a text at most: `1e20` gets all its digits."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How long arguments of a function may be, and how many rows the engine may take at a time."""

    places: tuple[int, ...]
    """The arguments, counted from 0."""
    longest: int
    """Bytes of a text, elements of an array."""
    rows: int
    pattern: int | None = None
    """The argument with a regular expression: without repetition in it, no bound is needed."""
    is_array: bool = False
    must_be_known: bool = False
    """Whether the arguments must be literals, or made of literals, since a check would not help."""


_DISTANCES: Final = Bound((0, 1), 2000, 256)
_SEARCHES: Final = Bound((0,), 32_768, 16, pattern=1)
_SPLITS: Final = Bound((1,), 32_768, 16, pattern=0)
_NEEDLES: Final = Bound((1,), 1000, 4096)
_NEEDLES_FIRST: Final = Bound((0,), 1000, 4096)
_NEEDLE_ARRAYS: Final = Bound((1,), 16_384, 4096, must_be_known=True)
_PRODUCTS: Final = Bound((0, 1), 5000, 256, is_array=True)
_FOLDS: Final = Bound((1,), 5000, 256, is_array=True)


def _each(names: str, bound: Bound) -> dict[str, Bound]:
    return dict.fromkeys(words(names.lower()), bound)


BOUNDS: Final[Mapping[str, Bound]] = {
    **_each("editDistance editDistanceUTF8 damerauLevenshteinDistance", _DISTANCES),
    **_each("countMatches countMatchesCaseInsensitive extractAll replaceRegexpAll", _SEARCHES),
    **_each("extractAllGroupsHorizontal extractAllGroupsVertical", _SEARCHES),
    **_each("splitByRegexp", _SPLITS),
    **_each("position positionUTF8 positionCaseInsensitive positionCaseInsensitiveUTF8", _NEEDLES),
    **_each("countSubstringsCaseInsensitive countSubstringsCaseInsensitiveUTF8", _NEEDLES),
    **_each("hasTokenCaseInsensitive hasTokenCaseInsensitiveOrNull", _NEEDLES),
    **_each("ilike notILike matchCaseInsensitive notMatchCaseInsensitive", _NEEDLES),
    **_each("locate", _NEEDLES_FIRST),
    **_each("multiMatchAllIndices multiMatchAny multiMatchAnyIndex", _NEEDLE_ARRAYS),
    **_each("multiSearchAny multiSearchAnyUTF8 cutURLParameter", _NEEDLE_ARRAYS),
    **_each("multiSearchAnyCaseInsensitive multiSearchAnyCaseInsensitiveUTF8", _NEEDLE_ARRAYS),
    **_each("hasAll", _PRODUCTS),
    **_each("arrayFold", _FOLDS),
}
REFUSED: Final = words("""
    arraylevenshteindistance arraylevenshteindistanceweighted arraysimilarity defaultvalueoftypename flamegraph
    gettypeserializationstreams polygonsintersectioncartesian polygonsintersectionspherical
    polygonssymdifferencecartesian polygonssymdifferencespherical polygonsunioncartesian polygonsunionspherical
""")


class Costs:
    """Bounds the functions of one engine. `aliases` are pairs of a function's name and the name it is an alias of."""

    def __init__(self, aliases: Iterable[tuple[str, str]]) -> None:
        self._canonical = {name.lower(): alias_of.lower() for name, alias_of in aliases if alias_of}

    def limit(self, tree: Any, params: Mapping[str, str], written: Callable[[Node], str]) -> int | None:
        """Bound the arguments of slow functions in a tree; return how many rows the engine may take at a time.

        None: as many as usual. A column of a result keeps its name, which `written` returns for an expression. Raises
        QueryError for a function that is refused, or that is handed over to be called elsewhere.
        """
        bounded: list[tuple[Node, Bound]] = []
        for node in nodes(tree):
            self._check_handed(node)
            if node.get("type") != "Function":
                continue
            name = self._name(node.get("name"))
            if name in REFUSED:
                raise _too_slow(str(node["name"]))
            bound = BOUNDS.get(name)
            if bound and not _needs_no_bound(node, bound, params):
                bounded.append((node, bound))
        if not bounded:
            return None
        _name_columns(tree, [node for node, _ in bounded], written)
        for node, bound in bounded:
            _wrap(node, bound, params)
        return min(_rows(node, bound, params) for node, bound in bounded)

    def _name(self, name: object) -> str:
        lower = str(name).lower()
        return self._canonical.get(lower, lower)

    def _check_handed(self, node: Node) -> None:
        """Raise QueryError when a slow function is handed over: `arrayMap(editDistance, …)`, `* APPLY(…)`."""
        names: list[str] = []
        if node.get("type") == "Function" and str(node.get("name")).lower().startswith(("array", "map")):
            names = [str(one.get("name")) for one in arguments(node)[:1] if one.get("type") == "Identifier"]
        elif "Transformer" in str(node.get("type")):
            names = [value for key, value in node.items() if key != "type" and isinstance(value, str)]
        for name in names:
            if self._name(name) in BOUNDS or self._name(name) in REFUSED:
                raise _too_slow(name)


def _needs_no_bound(node: Node, bound: Bound, params: Mapping[str, str]) -> bool:
    """Whether a call is quick for any other argument: its pattern repeats nothing, or what is looked for is short."""
    given = arguments(node)
    if bound.pattern is not None:
        pattern = text_of(given[bound.pattern]) if len(given) > bound.pattern else None
        return pattern is not None and _LINEAR.fullmatch(pattern) is not None
    sizes = [_known_size(given[place], params) for place in bound.places if place < len(given)]
    if bound is _DISTANCES or bound is _FOLDS:
        return all(size is not None and size <= bound.longest for size in sizes)
    if any(size is not None and size <= bound.longest for size in sizes):
        return True
    if bound.must_be_known and sizes:
        raise not_allowed(
            f"Not enough privileges: {node['name']} needs what it looks for as literals of {bound.longest} bytes."
        )
    return False


def _known_size(node: Node, params: Mapping[str, str]) -> int | None:
    """Return at most how many bytes an argument has, None when the statement does not say."""
    match node.get("type"):
        case "Literal":
            return _literal_size(node.get("value"))
        case "QueryParameter":
            return len(params.get(str(node.get("name")), "").encode())
        case "Function" if node.get("name") == "JSONExtract":
            match arguments(node):
                case [given, kind] if text_of(kind) == _TEXTS_OF_JSON:
                    size = _known_size(given, params)
                    return None if size is None else size * _NUMBER_GROWS
                case _:
                    return None
        case "Function" if str(node.get("name")).lower() in _AS_LONG:
            sizes = [_known_size(argument, params) for argument in arguments(node)]
            return sum(size for size in sizes if size is not None) if None not in sizes else None
        case _:
            return None


def _most_size(node: Node, params: Mapping[str, str]) -> int | None:
    """Return at most how many bytes a text has in any row, None when the statement does not say."""
    given, name = arguments(node), str(node.get("name")).lower()
    if node.get("type") == "Function" and name in _PARTS and given:
        length = _whole_number(given[-1])
        # Of two arguments of `substring` the last is where it begins.
        has_length = len(given) == (3 if name.startswith(("sub", "mid")) else 2)
        return None if length is None or not has_length else length * _PARTS[name]
    if node.get("type") == "Function" and name == "replaceregexpall" and len(given) == 3:  # noqa: PLR2004
        size, replacement = _most_size(given[0], params), _known_size(given[2], params)
        # Each byte may be replaced, and a part of the text be in each replacement as often as it has bytes.
        return None if size is None or replacement is None else (size + 1) * (replacement + 1)
    return _known_size(node, params)


def _whole_number(node: Node) -> int | None:
    """Return a literal number above 0, None for anything else."""
    value = node.get("value")
    if node.get("type") == "Literal" and isinstance(value, dict) and value.get("field_type") == "UInt64":
        return int(value["value"])
    return None


def _rows(node: Node, bound: Bound, params: Mapping[str, str]) -> int:
    """Return how many rows the engine may take at a time: of texts that are known to be short more."""
    if bound.pattern is None:
        return bound.rows
    given = arguments(node)
    sizes = [_most_size(given[place], params) for place in bound.places if place < len(given)]
    longest = max((bound.longest if size is None else size for size in sizes), default=bound.longest)
    # Work grows with the square of a text's length.
    return max(bound.rows, bound.rows * bound.longest**2 // max(longest, 1) ** 2)


def _literal_size(value: Any) -> int:
    if isinstance(value, dict):
        return _literal_size(value.get("value"))
    if isinstance(value, list):
        return sum(map(_literal_size, value)) + len(value)
    return len(value.encode()) if isinstance(value, str) else 8


def _name_columns(tree: Any, changed: list[Node], written: Callable[[Node], str]) -> None:
    """Name the columns of each SELECT that hold a changed function as they would be named without it."""
    ids = {id(node) for node in changed}
    for node in nodes(tree):
        if node.get("type") != "SelectQuery":
            continue
        for column in node.get("select", {}).get("children", []):
            is_named = column.get("alias") or column.get("type") != "Function"
            if not is_named and any(id(inner) in ids for inner in nodes(column)):
                column["alias"] = written(column)


def _wrap(node: Node, bound: Bound, params: Mapping[str, str]) -> None:
    given = arguments(node)
    name = str(node["name"])
    for place in bound.places:
        if place >= len(given):
            continue
        known = _known_size(given[place], params)
        most = known if bound.pattern is None else _most_size(given[place], params)
        if most is not None and most <= bound.longest:
            continue
        if known is None:
            given[place] = _checked(given[place], bound, name)
        else:
            raise QueryError.of(131, "TOO_LARGE_STRING_SIZE", _too_long(name, bound))


def _checked(value: Node, bound: Bound, name: str) -> Node:
    """Return a text or array that is the value, and fails when it is too long."""
    inner = {key: part for key, part in value.items() if key != "alias"}
    length = call("assumeNotNull", call("length", inner))
    fails = call("throwIf", call("greater", length, number(bound.longest)), text(_too_long(name, bound)))
    return call("arraySlice" if bound.is_array else "substring", value, call("plus", number(1), fails))


def _too_long(name: str, bound: Bound) -> str:
    what = "arrays" if bound.is_array else "texts"
    unit = "elements" if bound.is_array else "bytes"
    return f"{name} takes {what} of {bound.longest} {unit} at most from this user: take a part of them"


def _too_slow(name: str) -> QueryError:
    return not_allowed(f"Not enough privileges: {name} may run for long after its limit of time.")
