"""Reads statements with the engine's parser, and makes of each the text to run.

The engine returns a statement's parse tree as JSON, or as lines of text for the few kinds without a JSON form
(DESCRIBE, SHOW CREATE, EXISTS). A change of a statement is made in its tree; the engine then writes the tree as text,
and that text must parse to the same tree.
"""

import copy
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from gateway.costs import Costs
from gateway.errors import QueryError, not_allowed
from gateway.policy import Role
from gateway.rewrite import HIDDEN, OTHER_NAMES, STAND_IN, hide_paths, lift_settings, rename_tables
from gateway.session import EngineSession
from gateway.statement import Statement, read_into, read_tree, settings_of, with_output
from gateway.structures import FILTERS, filters_of, judge_structure, makes_table, structures_of
from gateway.tree import Node, nodes

_REMEMBERED: Final = 1000
_REMEMBERED_BYTES: Final = 16_384
_TEXT_KINDS: Final = (
    *("DescribeQuery", "ShowFunctions", "ExistsTableQuery", "ExistsDatabaseQuery", "ExistsViewQuery"),
    *("ShowCreateTableQuery", "ShowCreateDatabaseQuery", "ShowCreateViewQuery"),
)
_BLANKS_AND_END: Final = " \t\r\n\f;"
_NAME_LINE: Final = re.compile(
    r" +(?:TableExpression|TableIdentifier (?P<table>[\w.]+)|Identifier (?P<name>\w+))(?: \(children \d+\))?"
)
_PLACE: Final = " INTO OUTFILE 'x' TRUNCATE COMPRESSION 'none'"


class Parser:
    """Parses through a session of its own, and keeps the latest results. `database` is the telemetry database."""

    def __init__(self, session: EngineSession, database: str) -> None:
        self._session = session
        self._database = database
        self._known: OrderedDict[tuple[object, ...], Statement] = OrderedDict()

    def remembered(
        self, sql: str, params: Mapping[str, str], role: Role, data_format: str | None
    ) -> Statement | None:
        """Return a statement that was parsed before, if it is kept. Most clients repeat a few."""
        return self._known.get(_key(sql, params, role, data_format))

    def parse(self, sql: str, params: Mapping[str, str], role: Role, data_format: str | None) -> Statement:
        """Parse one statement. Raises QueryError.

        `params` are its query parameters, which can hold names; `data_format` is the format of the data after an
        INSERT, None for any other statement.
        """
        statement = self._parse(sql, params, role, data_format)
        if len(sql) + sum(len(value) for value in params.values()) < _REMEMBERED_BYTES:
            self._known[_key(sql, params, role, data_format)] = statement
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return statement

    def judge_filters(self, text: str, role: Role) -> Statement:
        """Return what the setting additional_table_filters names, given as text. Raises QueryError."""
        statement = self.parse(f"SET {FILTERS} = {text}", {}, role, None)
        if statement.kind != "SetQuery" or statement.settings != {FILTERS}:
            raise QueryError.of(36, "BAD_ARGUMENTS", f"{FILTERS} must be a map of tables to conditions.")
        return statement

    def _parse(self, sql: str, params: Mapping[str, str], role: Role, data_format: str | None) -> Statement:
        tree = self._tree(sql if data_format is None else f"{sql} FORMAT {data_format}")
        if isinstance(tree, str):
            return self._read_lines(self._renamed_lines(sql, tree), tree, params)
        changed = copy.deepcopy(tree)
        rename_tables(changed, self._database)
        changes: dict[str, str] = {}
        block_rows = None
        if role is Role.READER:
            changes = lift_settings(changed)
            hide_paths(changed, params, self._hidden)
            block_rows = self._costs.limit(changed, params, self._expression)
        text = sql if changed == tree else self._text(changed, data_format)
        statement = read_tree(changed, params)
        statement.sql, statement.block_rows = text, block_rows
        statement.changes |= changes
        statement.settings |= changes.keys()
        statement.makes_table = makes_table(changed)
        if role is Role.READER and statement.makes_table and statement.settings - changes.keys():
            raise not_allowed(
                "Not enough privileges: a statement with such a table has its SETTINGS at its end."
            )
        self._judge_texts(statement, changed, changes, role)
        if statement.kind == "SelectWithUnionQuery" and not statement.files:
            statement.around_output = self._around_output(text, changed)
        return statement

    def _judge_texts(self, statement: Statement, tree: Any, changes: Mapping[str, str], role: Role) -> None:
        """Judge the SQL that a statement has in texts: structures of table functions, and filters in settings."""
        for text, is_certain in structures_of(tree, self._database):
            try:
                made = self._tree(f"CREATE TABLE t ({text}\n) ENGINE = Null")
            except QueryError:
                if is_certain or "(" in text:
                    raise not_allowed(
                        "Not enough privileges: a structure must be columns with their types."
                    ) from None
                continue
            judge_structure(made)
        settings = [node for node in nodes(tree) if node.get("type") == "SetQuery"]
        given = [settings_of(node).get(FILTERS, "") for node in settings] + [changes.get(FILTERS, "")]
        for text in filter(None, given):
            for condition in filters_of(self._tree(f"SELECT 1 SETTINGS {FILTERS} = {text}")):
                part = self._tree(f"SELECT 1 WHERE {condition}\n")
                inner = [node for node in nodes(part) if node.get("type") == "SetQuery"]
                if isinstance(part, str) or inner or structures_of(part, self._database):
                    raise not_allowed("Not enough privileges: a filter must be a condition.")
                if role is Role.READER and self._costs.limit(copy.deepcopy(part), {}, self._expression):
                    raise not_allowed("A filter may have no function whose cost grows with the square.")
                read_into(statement, part, {})

    @cached_property
    def _costs(self) -> Costs:
        functions = self._session.value(
            "SELECT toJSONString(groupArray([name, alias_to])) FROM system.functions", {}
        )
        return Costs(json.loads(functions))

    @cached_property
    def _hidden(self) -> Mapping[str, Node]:
        """What stands in for each table of `system` that has paths of this machine."""
        made = {}
        for table, columns in HIDDEN.items():
            tree = self._tree(STAND_IN.format(columns=columns, table=table))
            made[table] = next(node for node in nodes(tree) if node.get("type") == "TableExpression")
        return made

    def _expression(self, node: Node) -> str:
        """Return an expression's text, as the engine names a column that has no other name."""
        tree = self._tree("SELECT 1")
        tree["list_of_selects"]["children"][0]["select"]["children"] = [node]
        return self._written(tree).removeprefix("SELECT ")

    def _text(self, tree: Any, data_format: str | None) -> str:
        """Return a tree's text. Raises QueryError unless the engine reads the text as the same tree."""
        text = self._written(tree)
        if self._tree(text) != tree:
            raise QueryError.of(
                48, "NOT_IMPLEMENTED", "The statement cannot be adapted: name the database that is in use."
            )
        if data_format is not None:
            ends = [end for end in (f" FORMAT {data_format}", " VALUES") if text.endswith(end)]
            if not ends:
                raise QueryError.of(48, "NOT_IMPLEMENTED", "The INSERT cannot be adapted.")
            text = text.removesuffix(ends[0])
        return text

    def _written(self, tree: Any) -> str:
        return self._session.value(
            "SELECT formatQueryFromJSON({tree:String})", {"tree": _escape(json.dumps(tree))}
        )

    def _tree(self, sql: str) -> Any:
        """Return the statement's tree, or only its kind when the engine has no JSON form of that kind."""
        try:
            text = self._session.value("SELECT parseQueryToJSON({sql:String})", {"sql": _escape(sql)})
        except QueryError as error:
            unsupported = re.match(
                r"Code: 36\. DB::Exception: AST node of type '([A-Za-z]+)[^']*' does not", error.text
            )
            if unsupported:
                return unsupported[1]
            # The engine's error quotes the call of parseQueryToJSON around the statement.
            raise QueryError(
                re.sub(r": In scope SELECT parseQueryToJSON\(.*", " (SYNTAX_ERROR)", error.text)
            ) from None
        return json.loads(text)

    def _around_output(self, sql: str, tree: Any) -> tuple[str, str] | None:
        """Split the statement where INTO OUTFILE may stand; None unless the engine then parses the same statement."""
        if tree.get("format_ast"):
            begins = [token["begin"] for token, word in self._words(sql) if word.upper() == b"FORMAT"]
            text = sql.encode()
            split = (text[: begins[-1]].decode(), text[begins[-1] :].decode()) if begins else None
        else:
            split = f"{sql.rstrip(_BLANKS_AND_END)}\n", ""
        if split and self._is_around(split, tree):
            return split
        # A comment is in the way. The engine writes the same statement without its comments.
        written = self._written({**tree, **_OUTFILE})
        before, place, after = written.rpartition(_PLACE)
        split = before, after.strip()
        return split if place and self._is_around(split, tree) else None

    def _is_around(self, split: tuple[str, str], tree: Any) -> bool:
        """Whether a statement with its result written to a file is otherwise the same."""
        try:
            again = self._tree(with_output(split, "x", "none"))
        except QueryError:
            return False
        same = [{key: value for key, value in one.items() if key not in _OUTFILE} for one in (tree, again)]
        return same[0] == same[1] and bool(again.get("out_file"))

    def _words(self, sql: str) -> list[tuple[dict[str, int], bytes]]:
        """Return the keywords and names of a statement as the engine's lexer finds them, with their places."""
        found = self._session.value(
            "SELECT toJSONString(highlightQuery({sql:String}))", {"sql": _escape(sql)}
        )
        text = sql.encode()
        return [(token, text[token["begin"] : token["end"]]) for token in json.loads(found)]

    def _renamed_lines(self, sql: str, kind: str) -> str:
        """Return a statement without a JSON form with the tables' other names replaced."""
        if kind not in _TEXT_KINDS:
            return sql
        text = sql.encode()
        for token, word in reversed(self._words(sql)):
            name = word.strip(b'"`').decode("utf-8", "replace")
            is_database = name == "default" and text[token["end"] :].lstrip()[:1] == b"."
            if is_database or name in OTHER_NAMES:
                new = self._database if is_database else OTHER_NAMES[name]
                text = text[: token["begin"]] + f"`{new}`".encode() + text[token["end"] :]
        return text.decode()

    def _read_lines(self, sql: str, kind: str, params: Mapping[str, str]) -> Statement:
        if kind not in _TEXT_KINDS or self._session.statements(sql) != 1:
            return Statement(kind, sql)
        lines = self._session.value(f"EXPLAIN AST {sql}", params).splitlines()
        statement = Statement(kind, sql)
        beside: list[str] = []
        for line in lines[1:]:
            found = _NAME_LINE.fullmatch(line)
            # The line is a function, a subquery, settings, a file, or a name that imitates another line.
            if found is None:
                return Statement(f"{kind} with more than names", sql)
            if found["table"]:
                statement.names.add(tuple(found["table"].split(".")))
            elif found["name"]:
                beside.append(found["name"])
        if beside:
            statement.names.add(tuple(beside))
        return statement


_OUTFILE: Final[Mapping[str, Any]] = {
    "out_file": {"type": "Literal", "value": {"field_type": "String", "value": "x"}},
    "compression": {"type": "Literal", "value": {"field_type": "String", "value": "none"}},
    "is_outfile_truncate": True,
}


def _key(sql: str, params: Mapping[str, str], role: Role, data_format: str | None) -> tuple[object, ...]:
    return sql, tuple(sorted(params.items())), role, data_format


def _escape(text: str) -> str:
    return (
        text.replace("\\", "\\\\")
        .replace("\t", "\\t")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\0", "\\0")
    )
