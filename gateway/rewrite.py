"""Changes of a statement's tree before it runs: names of tables, a reader's settings, and paths of this machine.

* `default` is the telemetry database: clients name it unless they are told otherwise. In this engine that database
  shows files.
* The Collector's exporter has two names for the table of exponential histograms, by version.
* A reader's session is read-only, so the engine takes no SETTINGS from it. They are taken out of the statement, and
  the session gets them, after the policy has judged them.
* Tables of `system` have columns with absolute paths; a reader finds them empty.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import not_allowed
from gateway.statement import settings_of
from gateway.structures import FILTERS
from gateway.tree import Node, arguments, name_parts, nodes, rename, text_of

OTHER_NAMES: Final[Mapping[str, str]] = {"otel_metrics_exponential_histogram": "otel_metrics_exp_histogram"}
"""Names of tables by which some clients know them, and the names that they have here."""
HIDDEN: Final[Mapping[str, str]] = {
    "databases": "'' AS data_path, '' AS metadata_path",
    "dictionaries": "'' AS origin, '' AS source, '' AS last_exception",
    "parts": "'' AS path",
    "parts_columns": "'' AS path",
    "tables": "CAST([], 'Array(String)') AS data_paths, '' AS metadata_path",
}
"""The columns of each table of `system` that hold paths, with what a reader finds in them."""
STAND_IN: Final = "SELECT * FROM (SELECT * REPLACE ({columns}) FROM system.{table}) AS {table}"


def rename_tables(tree: Any, database: str) -> None:
    """Replace the other names of the database and of tables, wherever a statement has them."""
    labels = {str(node["alias"]) for node in nodes(tree) if node.get("alias")}
    for node in nodes(tree):
        match node.get("type"):
            case "Identifier" | "TableIdentifier" if not node.get("children"):
                _rename_node(node, database, labels)
            case "ShowTablesQuery":
                _rename_database(node, "from", database)
            case "SetQuery":
                _rename_filtered(node, database)
            case "Function" if str(node.get("name")).lower() == "merge":
                _rename_merged(node, database)
            case _:
                pass
        for key, value in node.items():
            if "database" in key:
                _rename_database(node, key, database)
            elif "table" in key and isinstance(value, str):
                node[key] = OTHER_NAMES.get(value, value)


def lift_settings(tree: Any) -> dict[str, str]:
    """Take a query's own settings out of it, and return them as text; those of a subquery stay, and are refused."""
    changes: dict[str, str] = {}
    query = tree.get("query") if tree.get("type") == "ExplainQuery" else tree
    if not isinstance(query, dict) or query.get("type") != "SelectWithUnionQuery":
        return changes
    last = query.get("list_of_selects", {}).get("children", [])[-1:]
    for node, key in (*((select, "settings") for select in last), (query, "settings_ast")):
        found = node.get(key)
        if (
            isinstance(found, dict)
            and not found.get("default_settings")
            and not found.get("query_parameters")
        ):
            changes |= settings_of(node.pop(key))
    return changes


def hide_paths(tree: Any, params: Mapping[str, str], hidden: Mapping[str, Node]) -> None:
    """Let a reader read, in place of a table of `system` that has paths, the same table with these empty.

    Raises QueryError where such a table is named elsewhere than after FROM.
    """
    placed = False
    waiting = list(nodes(tree))
    for node in waiting:
        table = node.get("database_and_table_name")
        parts = name_parts(table, params) if isinstance(table, dict) else ()
        if node.get("type") != "TableExpression" or parts[:1] != ("system",) or parts[1] not in hidden:
            continue
        assert isinstance(table, dict)  # noqa: S101  for the type checker
        stand_in = copy.deepcopy(hidden[parts[1]]["subquery"])
        stand_in["alias"] = table.get("alias") or parts[1]
        del node["database_and_table_name"]
        node["subquery"] = stand_in
        placed = True
        table["type"] = "placed"
    for node in waiting:
        if node.get("type") not in {"Identifier", "TableIdentifier"}:
            continue
        parts = name_parts(node, params)
        if len(parts) > 1 and parts[0] == "system" and parts[1] in hidden:
            if len(parts) == 2 or not placed:  # noqa: PLR2004  a database and a table
                raise not_allowed(f"Not enough privileges to read from {'.'.join(parts)} here.")
            rename(node, parts[1:])


def _rename_node(node: Node, database: str, labels: set[str]) -> None:
    parts = list(name_parts(node, {}))
    if len(parts) > 1 and parts[0] == "default" and "default" not in labels:
        parts[0] = database
    place = (
        len(parts) - 1 if node["type"] == "TableIdentifier" else int(len(parts) > 1 and parts[0] == database)
    )
    parts[place] = OTHER_NAMES.get(parts[place], parts[place])
    if parts != list(name_parts(node, {})):
        rename(node, parts)


def _rename_database(node: Node, key: str, database: str) -> None:
    value = node.get(key)
    if value == "default":
        node[key] = database
    elif isinstance(value, dict) and value.get("type") == "Identifier" and value.get("name") == "default":
        rename(value, [database])


def _rename_merged(function: Node, database: str) -> None:
    """Rename the database in which `merge` looks."""
    for first in arguments(function)[:1]:
        if text_of(first) == "default":
            first["value"]["value"] = database
        elif first.get("type") == "Identifier" and first.get("name") == "default":
            rename(first, [database])


def _rename_filtered(node: Node, database: str) -> None:
    """Rename the tables to which filters apply, given as a map."""
    for change in node.get("changes", []):
        value = change.get("value", {})
        if change.get("name") != FILTERS or value.get("field_type") != "Map":
            continue
        for pair in value["value"]:
            name = pair["value"][0]
            before, dot, table = str(name["value"]).rpartition(".")
            before = database if before == "default" else before
            name["value"] = f"{before}{dot}{OTHER_NAMES.get(table, table)}"
