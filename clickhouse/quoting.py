r"""Names, literals and parameters as ClickHouse reads them in a statement.

Every part of a statement that is composed goes through here; values are bound as parameters where possible.

Source: https://clickhouse.com/docs/sql-reference/syntax and https://clickhouse.com/docs/interfaces/http#cli-queries-with-parameters
"""

from collections.abc import Sequence

Value = str | int | bool | Sequence[str] | Sequence[int]
"""The values that a parameter `{name:Type}` may have."""


def identifier(name: str) -> str:
    """Quote the name of a table, a column, a database or a setting."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(value: str | int) -> str:
    """Write a number, or a text between quotes."""
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def parameter(value: Value) -> str:
    """Write a value as the text of a query parameter."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        case _:
            return f"[{', '.join(literal(item) for item in value)}]"
