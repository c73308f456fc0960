"""What a statement does, as the engine's own parser reads it. Nothing here looks at SQL with an expression of ours.

The engine gives the tree of a statement as JSON, and of the few kinds that it cannot give so (DESCRIBE, SHOW CREATE,
EXISTS) as lines of text. From either this module collects what a policy has to know: the kind of statement, and every
table, function, engine, setting and file that it names, wherever in it they stand.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clickhouse.http.errors import QueryError
from clickhouse.http.session import Session

_OUTPUT: Final = "INTO OUTFILE '{}' TRUNCATE COMPRESSION '{}'"
_REMEMBERED: Final = 1000
_REMEMBERED_BYTES: Final = 16_384
_TEXT_KINDS: Final = (
    *("DescribeQuery", "ShowFunctions", "ExistsTableQuery", "ExistsDatabaseQuery", "ExistsViewQuery"),
    *("ShowCreateTableQuery", "ShowCreateDatabaseQuery", "ShowCreateViewQuery"),
)
_BLANKS_AND_END: Final = " \t\r\n\f;"
_PLAIN_NODE: Final = re.compile(
    r" +(?:TableExpression|TableIdentifier (?P<table>[\w.]+)|Identifier (?P<name>\w+))(?: \(children \d+\))?"
)


@dataclass(slots=True)
class Statement:
    """A statement's parts, by the names of the engine's tree."""

    kind: str
    """The tree's root, for example `SelectWithUnionQuery` or `InsertQuery`."""
    format: str | None = None
    """The output format it asks for."""
    functions: set[str] = field(default_factory=set)
    """Scalar, aggregate and table functions."""
    passed: set[str] = field(default_factory=set)
    """Names given to functions as arguments: of columns, or of functions to call."""
    engines: set[str] = field(default_factory=set)
    """Table and database engines, and sources of dictionaries."""
    names: set[tuple[str, ...]] = field(default_factory=set)
    """Names of tables and columns, in their parts."""
    databases: set[str] = field(default_factory=set)
    """Databases named outside of `names`."""
    settings: set[str] = field(default_factory=set)
    alterations: set[str] = field(default_factory=set)
    """What an ALTER does, for example `MODIFY_TTL`."""
    files: bool = False
    """Whether it names a file to read or write (INTO OUTFILE, FROM INFILE)."""
    temporary: bool = False
    whole_database: bool = False
    """Whether it creates, drops or renames a database, not a table."""
    around_output: tuple[str, str] | None = None
    """The statement before and after where INTO OUTFILE may stand, if its result may be large."""


def with_output(around: tuple[str, str], path: str, compression: str) -> str:
    """Write a statement so that its result goes to a path of ours, compressed by one of ClickHouse's methods."""
    return f"{around[0]} {_OUTPUT.format(path, compression)} {around[1]}"


class Parser:
    """Reads statements with the engine's parser, through a session of its own; remembers the latest ones."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Statement] = OrderedDict()

    def remembered(self, sql: str, params: Mapping[str, str]) -> Statement | None:
        """Give a statement that was read lately. Most clients repeat a few."""
        return self._known.get((sql, tuple(sorted(params.items()))))

    def parse(self, sql: str, params: Mapping[str, str]) -> Statement:
        """Read one statement. `params` are its query parameters, which can hold names. Raises QueryError."""
        statement = self._parse(sql, params)
        if len(sql) + sum(len(value) for value in params.values()) < _REMEMBERED_BYTES:
            self._known[sql, tuple(sorted(params.items()))] = statement
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return statement

    def _parse(self, sql: str, params: Mapping[str, str]) -> Statement:
        tree = self._tree(sql)
        if isinstance(tree, str):
            return self._read_lines(sql, tree, params)
        statement = _read_tree(tree, params)
        if statement.kind == "SelectWithUnionQuery" and not statement.files:
            statement.around_output = self._around_output(sql, tree)
        return statement

    def _tree(self, sql: str) -> Any:
        """Give the statement's tree, or its kind when the engine cannot give a tree of that kind."""
        try:
            text = self._session.value("SELECT parseQueryToJSON({sql:String})", {"sql": _escape(sql)})
        except QueryError as error:
            unsupported = re.match(
                r"Code: 36\. DB::Exception: AST node of type '([A-Za-z]+)[^']*' does not", error.text
            )
            if unsupported:
                return unsupported[1]
            # The engine quotes its own function around the statement.
            raise QueryError(
                re.sub(r": In scope SELECT parseQueryToJSON\(.*", " (SYNTAX_ERROR)", error.text)
            ) from None
        return json.loads(text)

    def _around_output(self, sql: str, tree: Any) -> tuple[str, str] | None:
        """Find where INTO OUTFILE may stand; None unless the engine reads the two parts with it as the same."""
        if tree.get("format_ast"):
            found = self._session.value(
                "SELECT toJSONString(highlightQuery({sql:String}))", {"sql": _escape(sql)}
            )
            text = sql.encode()
            begins = [
                token["begin"]
                for token in json.loads(found)
                if text[token["begin"] : token["end"]].upper() == b"FORMAT"
            ]
            if not begins:
                return None
            around = text[: begins[-1]].decode(), text[begins[-1] :].decode()
        else:
            # A comment behind a semicolon is left, and then the engine does not read the two parts as the same.
            around = f"{sql.rstrip(_BLANKS_AND_END)}\n", ""
        try:
            again = self._tree(with_output(around, "x", "none"))
        except QueryError:
            return None
        added = {"out_file", "compression", "is_outfile_truncate"}
        same = [{key: value for key, value in one.items() if key not in added} for one in (tree, again)]
        return around if same[0] == same[1] and again.get("out_file") else None

    def _read_lines(self, sql: str, kind: str, params: Mapping[str, str]) -> Statement:
        if kind not in _TEXT_KINDS or self._session.statements(sql) != 1:
            return Statement(kind)
        lines = self._session.value(f"EXPLAIN AST {sql}", params).splitlines()
        statement = Statement(kind)
        beside: list[str] = []
        for line in lines[1:]:
            found = _PLAIN_NODE.fullmatch(line)
            # A function, a subquery, settings, a file, or a name made to look like another line.
            if found is None:
                return Statement(f"{kind} with more than names")
            if found["table"]:
                statement.names.add(tuple(found["table"].split(".")))
            elif found["name"]:
                beside.append(found["name"])
        if beside:
            statement.names.add(tuple(beside))
        return statement


def _read_tree(tree: Any, params: Mapping[str, str]) -> Statement:
    root = str(tree.get("type", ""))
    statement = Statement(root)
    asked = tree.get("format_ast")
    if asked:
        statement.format = str(asked.get("name", ""))
    elif isinstance(tree.get("format"), str):
        statement.format = tree["format"]
    statement.temporary = bool(tree.get("is_temporary"))
    statement.whole_database = bool(tree.get("database")) and not tree.get("table")
    for node in _nodes(tree):
        _read_node(statement, node, params)
    return statement


def _read_node(statement: Statement, node: Mapping[str, Any], params: Mapping[str, str]) -> None:
    name = str(node.get("name"))
    match node.get("type"):
        case "Function":
            is_engine = node.get("kind") in {"TABLE_ENGINE", "DATABASE_ENGINE"}
            (statement.engines if is_engine else statement.functions).add(name)
        case "FunctionWithKeyValueArguments":
            statement.engines.add(f"of dictionaries, {name}")
        case "TableIdentifier" | "Identifier":
            statement.names.add(_parts(node, params))
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
            statement.databases.add(".".join(_parts(value, params)))


def _read_passed(statement: Statement, node: Mapping[str, Any], params: Mapping[str, str]) -> None:
    """Collect what may be a function's name though it is not called: `arrayMap(file, …)`, `* APPLY(file)`."""
    arguments = node.get("arguments")
    if node.get("type") == "Function" and isinstance(arguments, dict):
        names = [child for child in arguments.get("children", []) if child.get("type") == "Identifier"]
        statement.passed |= {".".join(_parts(child, params)) for child in names}
    if "Transformer" in str(node.get("type")):
        statement.functions |= {
            value for key, value in node.items() if isinstance(value, str) and key != "type"
        }


def _parts(node: Mapping[str, Any], params: Mapping[str, str]) -> tuple[str, ...]:
    """Give an identifier's parts; those that are query parameters as their values."""
    parts = [str(part) for part in node.get("name_parts") or [node.get("name", "")]]
    values = iter([params.get(str(child.get("name")), "") for child in node.get("children", [])])
    return tuple(part or next(values, "") for part in parts)


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _escape(text: str) -> str:
    return (
        text.replace("\\", "\\\\")
        .replace("\t", "\\t")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\0", "\\0")
    )


# Words, strings, quoted names, comments and single characters: as much of SQL as splitting an INSERT needs. What is not
# closed goes on to the end, so that no text is looked at twice.
_TOKEN: Final = re.compile(
    rb"""\s+|--[^\n]*|\#[!\x20][^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)"""
    rb"""|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|`(?:[^`\\]|\\.)*(?:`|\\?\Z)|\w+|.""",
    re.DOTALL,
)
_BLANKS: Final = re.compile(rb"[ \t\r\f]*\n?")


def split_insert(text: bytes) -> tuple[str, str | None, int] | None:
    """Split an INSERT from the data behind it: the statement, its format if it names one, where the data begins.

    None when it is not an INSERT with data behind it. What is split wrongly is refused, since the two halves are
    judged apart: the statement by the engine's parser, the data by the format's.
    """
    depth = 0
    words: list[bytes] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in {b"(", b")"}:
            depth += 1 if word == b"(" else -1
        if depth or not (word[0:1].isalnum() or word[0:1] in b'_`"'):
            if word == b";":
                return None
            continue
        upper = word.upper()
        if not words and upper != b"INSERT":
            return None
        named = len(words) > 2  # noqa: PLR2004  INSERT INTO x
        if named and words[-1] == b"FORMAT" and upper != b"FORMAT" and words[-2] != b"INTO":
            statement = text[: token.start()].decode("utf-8", "replace").rstrip()[: -len("FORMAT")]
            return statement, word.decode(), _BLANKS.match(text, token.end()).end()  # type: ignore[union-attr]
        if named and upper == b"VALUES":
            return text[: token.start()].decode("utf-8", "replace"), "Values", token.end()
        if len(words) > 1 and upper in {b"SELECT", b"WITH", b"INFILE", b"EXPLAIN"}:
            return None
        words.append(upper)
    return (text.decode("utf-8", "replace"), None, len(text)) if words else None


def from_file(insert: str, data_format: str, path: str) -> str:
    """Make an INSERT that ends before its FORMAT read its data from a file."""
    depth = words = 0
    before = b""
    text = insert.encode()
    at = len(text)
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in {b"(", b")"}:
            depth += 1 if word == b"(" else -1
        elif not depth and (word[0:1].isalnum() or word[0:1] in b'_`"'):
            words += 1
            if words > 3 and word.upper() == b"SETTINGS" and before != b".":  # noqa: PLR2004  INSERT INTO x SETTINGS
                at = token.start()
                break
        before = word
    # On lines of their own: what stands before may end in a comment.
    clause = f"\nFROM INFILE '{path}' COMPRESSION 'none'\n"
    return f"{text[:at].decode()}{clause}{text[at:].decode()}\nFORMAT {data_format}"
