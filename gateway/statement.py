"""What a statement does, as the engine's own parser reads it. No regular expression decides what a statement does.

From the engine's parse tree this module collects what the policy needs: the kind of the statement, and every table,
function, engine, setting and file that it names, at any depth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clickhouse.quoting import literal
from gateway.tree import Node, arguments, name_parts, nodes

_OUTPUT: Final = "INTO OUTFILE '{}' TRUNCATE COMPRESSION '{}'"


@dataclass(slots=True)
class Statement:
    """A statement's parts, by the names of the engine's tree."""

    kind: str
    """The tree's root, for example `SelectWithUnionQuery` or `InsertQuery`."""
    sql: str = ""
    """The text to run: the client's, or what was made of it; of an INSERT with data, without the format."""
    format: str | None = None
    """The output format that it names."""
    functions: set[str] = field(default_factory=set)
    """Scalar, aggregate and table functions."""
    passed: set[str] = field(default_factory=set)
    """Names passed to functions as arguments: of columns, or of functions to call."""
    engines: set[str] = field(default_factory=set)
    """Table and database engines, and sources of dictionaries."""
    names: set[tuple[str, ...]] = field(default_factory=set)
    """Names of tables and columns, split at the dots."""
    databases: set[str] = field(default_factory=set)
    """Databases named outside of `names`."""
    settings: set[str] = field(default_factory=set)
    changes: dict[str, str] = field(default_factory=dict)
    """The settings that a reader's statement changes for itself, or that a SET changes, as the engine reads them."""
    alterations: set[str] = field(default_factory=set)
    """What an ALTER does, for example `MODIFY_TTL`."""
    files: bool = False
    """Whether it names a file to read or write (INTO OUTFILE, FROM INFILE)."""
    temporary: bool = False
    whole_database: bool = False
    """Whether it creates, drops or renames a database, not a table."""
    inserted: str | None = None
    """The table that an INSERT fills."""
    makes_table: bool = False
    """Whether the engine takes it for a statement that makes a table, though it only reads."""
    block_rows: int | None = None
    """The rows that the engine may take at a time, since a function in it is slow."""
    around_output: tuple[str, str] | None = None
    """The statement's text before and after the place for INTO OUTFILE, if its result may be large."""


def with_output(around: tuple[str, str], path: str, compression: str) -> str:
    """Return the statement with its result written to `path`, compressed by one of ClickHouse's methods."""
    return f"{around[0]} {_OUTPUT.format(path, compression)} {around[1]}"


def read_tree(tree: Any, params: Mapping[str, str]) -> Statement:
    """Collect a statement's parts from its tree. `params` are its query parameters, which can hold names."""
    statement = Statement(str(tree.get("type", "")))
    asked = tree.get("format_ast")
    if asked:
        statement.format = str(asked.get("name", ""))
    elif isinstance(tree.get("format"), str):
        statement.format = tree["format"]
    statement.temporary = bool(tree.get("is_temporary"))
    statement.whole_database = bool(tree.get("database")) and not tree.get("table")
    if statement.kind == "InsertQuery" and isinstance(tree.get("table"), dict):
        statement.inserted = ".".join(name_parts(tree["table"], params))
    if statement.kind == "SetQuery":
        statement.changes = settings_of(tree)
    read_into(statement, tree, params)
    return statement


def read_into(statement: Statement, tree: Any, params: Mapping[str, str]) -> None:
    """Add what a part of a statement names."""
    for node in nodes(tree):
        _read_node(statement, node, params)


def settings_of(node: Mapping[str, Any]) -> dict[str, str]:
    """Return the changes of a SET or SETTINGS, each value as text that the engine reads as the same value."""
    return {str(change.get("name")): _setting(change.get("value")) for change in node.get("changes", [])}


def _setting(value: Any) -> str:
    kind, content = value.get("field_type"), value.get("value")
    if kind == "Map":
        pairs = [[part.get("value", "") for part in pair.get("value", [])] for pair in content]
        return "{" + ", ".join(f"{literal(str(name))}: {literal(str(text))}" for name, text in pairs) + "}"
    if isinstance(content, bool):
        return str(int(content))
    return str(content)


def _read_node(statement: Statement, node: Node, params: Mapping[str, str]) -> None:
    name = str(node.get("name"))
    match node.get("type"):
        case "Function":
            is_engine = node.get("kind") in {"TABLE_ENGINE", "DATABASE_ENGINE"}
            (statement.engines if is_engine else statement.functions).add(name)
        case "FunctionWithKeyValueArguments":
            statement.engines.add(f"of dictionaries, {name}")
        case "TableIdentifier" | "Identifier":
            statement.names.add(name_parts(node, params))
        case "SetQuery":
            statement.settings |= {str(change.get("name")) for change in node.get("changes", [])}
            statement.settings |= {str(reset) for reset in node.get("default_settings", [])}
        case "AlterCommand":
            statement.alterations.add(str(node.get("command_type")))
        case _:
            pass
    _read_passed(statement, node, params)
    statement.files |= bool(node.get("out_file") or node.get("infile") or node.get("has_attach_from_path"))
    for key, value in node.items():
        if "database" in key and value and isinstance(value, str):
            statement.databases.add(value)
        elif "database" in key and isinstance(value, dict) and value.get("type") == "Identifier":
            statement.databases.add(".".join(name_parts(value, params)))


def _read_passed(statement: Statement, node: Node, params: Mapping[str, str]) -> None:
    """Collect names that may be functions though they are not called: `arrayMap(file, …)`, `* APPLY(file)`."""
    if node.get("type") == "Function":
        names = [child for child in arguments(node) if child.get("type") == "Identifier"]
        statement.passed |= {".".join(name_parts(child, params)) for child in names}
    if "Transformer" in str(node.get("type")):
        applied = {value for key, value in node.items() if isinstance(value, str) and key != "type"}
        statement.functions |= applied
        statement.passed |= applied
