"""SQL that a statement has inside texts: structures of table functions, and filters in settings.

`values('a String', …)`, `null`, `format` and `generateRandom` take a structure, in which columns could have defaults
and aliases; the setting `additional_table_filters` has conditions. Both are parsed by the engine's parser and judged
like the statement: a structure has columns with types and nothing else, a condition names what the statement may name.
`merge` reads the tables of the telemetry database alone.
"""

from typing import Any, Final

from gateway.errors import not_allowed
from gateway.tree import Node, arguments, nodes, text_of, words

FILTERS: Final = "additional_table_filters"
_STRUCTURED: Final = frozenset({"values", "sqlstandardvalues", "null", "generaterandom", "format", "merge"})
_READ_ONLY: Final = words("merge null numbers numbers_mt sqlstandardvalues values view")
"""The table functions that the engine allows with `readonly = 1`."""
_DATA_FORMATS: Final = words("""
    CSV CSVWithNames CSVWithNamesAndTypes JSON JSONAsString JSONColumns JSONColumnsWithMetadata JSONCompact
    JSONCompactColumns JSONCompactEachRow JSONCompactEachRowWithNames JSONCompactEachRowWithNamesAndTypes
    JSONCompactStringsEachRow JSONEachRow JSONLines JSONObjectEachRow JSONStringsEachRow LineAsString NDJSON
    RawBLOB TSKV TSV TSVRaw TSVWithNames TSVWithNamesAndTypes TabSeparated TabSeparatedRaw TabSeparatedWithNames
    TabSeparatedWithNamesAndTypes Values
""")
"""Formats of text that `format` may read. None of them opens a file, and binary ones are not needed in a statement."""
_PLAIN_COLUMN: Final = frozenset({"type", "name", "data_type"})
_IN: Final = frozenset({"in", "notin", "globalin", "globalnotin", "nullin", "notnullin"})


def structures_of(tree: Any, database: str) -> list[tuple[str, bool]]:
    """Return the texts in a statement that the engine reads, or might read, as structures, and whether it must.

    Raises QueryError for a structure that is no literal, and for a table function that is called elsewhere than after
    FROM.
    """
    found: list[tuple[str, bool]] = []
    after_from: set[int] = set()
    for node in nodes(tree):
        function = node.get("table_function")
        if isinstance(function, dict):
            after_from.add(id(function))
            found += _structures(function, database)
    for node in nodes(tree):
        if node.get("type") != "Function" or node.get("kind") in {"TABLE_ENGINE", "DATABASE_ENGINE"}:
            continue
        asked_in = arguments(node)[1:] if _name(node) in _IN else []
        elsewhere = _name(node) in _STRUCTURED - {"format"} and id(node) not in after_from
        if elsewhere or any(_name(one) in _STRUCTURED for one in asked_in):
            raise not_allowed("Not enough privileges: table functions stand after FROM here.")
    return found


def makes_table(tree: Any) -> bool:
    """Whether the engine takes a statement for one that makes a table, since it calls such a table function."""
    functions = [node.get("table_function") for node in nodes(tree)]
    return any(isinstance(one, dict) and _name(one) not in _READ_ONLY for one in functions)


def judge_structure(tree: Any) -> None:
    """Raise QueryError unless a CREATE TABLE with a structure in it has columns with types alone."""
    listed = tree.get("columns_list", {}) if isinstance(tree, dict) else {}
    columns = listed.get("columns", {}).get("children", [])
    plain = (
        bool(columns)
        and all({key for key, value in column.items() if value} == _PLAIN_COLUMN for column in columns)
        and not any(value for key, value in listed.items() if key not in {"type", "columns"})
        and [node.get("name") for node in nodes(tree) if node.get("type") == "Function"] == ["Null"]
        and not any("Select" in str(node.get("type")) for node in nodes(tree))
        and {key for key, value in tree.items() if isinstance(value, dict)}
        == {"columns_list", "storage", "table_ast"}
    )
    if not plain:
        raise not_allowed("Not enough privileges: a structure must be columns with their types.")


def filters_of(tree: Any) -> list[str]:
    """Return the conditions in the one setting of a statement, a map of tables to conditions. Raises QueryError."""
    changes = [change for node in nodes(tree) for change in node.get("changes") or []]
    value = changes[0].get("value", {}) if len(changes) == 1 else {}
    pairs = value.get("value") if value.get("field_type") == "Map" else None
    texts = [pair.get("value", []) for pair in pairs] if isinstance(pairs, list) else None
    if texts is None or any(part.get("field_type") != "String" for pair in texts for part in pair):
        raise not_allowed(f"Not enough privileges: {FILTERS} must be a map of tables to conditions.")
    return [str(pair[1]["value"]) for pair in texts]


def _structures(function: Node, database: str) -> list[tuple[str, bool]]:
    given = arguments(function)
    match _name(function):
        case "values" | "sqlstandardvalues" if given:
            text = text_of(given[0])
            if (
                text is None
                and given[0].get("type") == "Function"
                and _name(given[0]) not in {"tuple", "array"}
            ):
                raise _no_literal(function)
            return [(text, False)] if text is not None else []
        case "null" | "generaterandom" if given:
            text = text_of(given[0])
            if text is None and (given[0].get("type") != "Literal" or _name(function) == "null"):
                raise _no_literal(function)
            return [(text, True)] if text is not None else []
        case "format":
            return _of_format(function)
        case "merge":
            _check_merge(given, database)
        case _:
            pass
    return []


def _of_format(function: Node) -> list[tuple[str, bool]]:
    given = arguments(function)
    named = text_of(given[0]) or str(given[0].get("name", "")) if given else ""
    if named not in _DATA_FORMATS or len(given) not in {2, 3}:
        raise not_allowed(
            "Not enough privileges: format() reads formats of text, such as JSONEachRow or CSV."
        )
    if len(given) == 2:  # noqa: PLR2004  a format and data
        return []
    text = text_of(given[1])
    if text is None:
        raise _no_literal(function)
    return [(text, True)]


def _check_merge(given: list[Node], database: str) -> None:
    """Raise QueryError unless `merge` looks in the telemetry database, which is the one in use."""
    if len(given) == 1 and text_of(given[0]) is not None:
        return
    first = given[0] if given else {}
    named = text_of(first) or (first.get("name") if first.get("type") == "Identifier" else None)
    in_use = first.get("type") == "Function" and _name(first) == "currentdatabase" and not arguments(first)
    if len(given) != 2 or not (named == database or in_use) or text_of(given[1]) is None:  # noqa: PLR2004
        raise not_allowed(f"Not enough privileges: merge() reads tables of the database {database}.")


def _no_literal(function: Node) -> Exception:
    return not_allowed(
        f"Not enough privileges: the structure of {_name(function)}() must be a literal string."
    )


def _name(node: Node) -> str:
    return str(node.get("name", "")).lower() if node.get("type") == "Function" else ""
