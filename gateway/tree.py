"""The engine's parse tree as JSON: its nodes, the names in it, and the few nodes that the gateway adds to one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Node = dict[str, Any]


def words(text: str) -> frozenset[str]:
    """Return the words of a list of names."""
    return frozenset(text.split())


def nodes(tree: Any) -> Iterator[Node]:
    """Yield every node of a tree, an outer one before those within it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def name_parts(node: Mapping[str, Any], params: Mapping[str, str]) -> tuple[str, ...]:
    """Return an identifier's parts, with the values of those that are query parameters."""
    parts = [str(part) for part in node.get("name_parts") or [node.get("name", "")]]
    values = iter([params.get(str(child.get("name")), "") for child in node.get("children", [])])
    return tuple(part or next(values, "") for part in parts)


def rename(node: Node, parts: Sequence[str]) -> None:
    """Replace an identifier's parts."""
    node["name"] = ".".join(parts)
    if len(parts) > 1:
        node["name_parts"] = list(parts)
    else:
        node.pop("name_parts", None)


def arguments(node: Mapping[str, Any]) -> list[Node]:
    """Return the arguments of a function's node, in a list that can be changed."""
    listed = node.get("arguments")
    found: list[Node] = listed.get("children", []) if isinstance(listed, dict) else []
    return found


def text_of(node: Mapping[str, Any]) -> str | None:
    """Return the text of a literal string, None for anything else."""
    value = node.get("value")
    if node.get("type") == "Literal" and isinstance(value, dict) and value.get("field_type") == "String":
        return str(value.get("value", ""))
    return None


def number(value: int) -> Node:
    """Return the node of a literal number, not negative."""
    return {"type": "Literal", "value": {"field_type": "UInt64", "value": value}}


def text(value: str) -> Node:
    """Return the node of a literal string."""
    return {"type": "Literal", "value": {"field_type": "String", "value": value}}


def call(name: str, *given: Node) -> Node:
    """Return the node of a function's call."""
    return {
        "type": "Function",
        "name": name,
        "arguments": {"type": "ExpressionList", "children": list(given)},
    }
