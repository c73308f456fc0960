"""All metrics, spans and tables as a JSON schema (draft 2020-12), for those who check or generate from it."""

from typing import Any, Final

from mcp_server_telemetry.definitions import DEFINITIONS

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_NUMBER: Final[dict[str, Any]] = {"type": "number"}
_TIME: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_MESSAGE: Final[dict[str, Any]] = {
    "mcp.method.name": _TEXT, "network.transport": {"enum": ["pipe", "tcp"]}, "mcp.protocol.version": _TEXT,
    "jsonrpc.request.id": _TEXT, "mcp.session.id": _TEXT, "gen_ai.operation.name": {"const": "execute_tool"},
    "gen_ai.tool.name": _TEXT, "gen_ai.prompt.name": _TEXT, "enduser.pseudo.id": _TEXT, "error.type": _TEXT,
    "rpc.response.status_code": _TEXT, "gen_ai.tool.call.arguments": _TEXT, "gen_ai.tool.call.result": _TEXT,
}  # fmt: skip
SPANS: Final[dict[str, dict[str, Any]]] = {
    "message": _MESSAGE,
    "mcp.session": {
        "mcp.session.id": _TEXT, "mcp.model": _TEXT, "mcp.session.status": {"enum": ["completed", "error"]},
        "mcp.session.messages": _COUNT, "mcp.session.tokens": _COUNT, "mcp.session.checkpoints": _COUNT,
        "mcp.session.errors": _COUNT, "network.transport": _TEXT, "error.type": _TEXT,
    },
    "session.create": {
        "mcp.session.id": _TEXT, "mcp.session.type": {"enum": ["new", "restored"]}, "mcp.model": _TEXT,
        "mcp.prompt.length": _COUNT, "error.type": _TEXT,
    },
}  # fmt: skip
"""Attributes by span. A message's span is named `{mcp.method.name} {name of the tool or prompt}`."""
TABLES: Final[dict[str, dict[str, Any]]] = {
    "session_metrics": {
        "session_id": _TEXT, "model": _TEXT, "start_time": _TIME, "end_time": _TIME, "duration_seconds": _NUMBER,
        "token_count": _COUNT, "message_count": _COUNT, "checkpoint_count": _COUNT, "error_count": _COUNT,
    },
    "performance_metrics": {
        "timestamp": {"anyOf": [_TIME, _COUNT]}, "metric_name": _TEXT, "value": _NUMBER, "count": _COUNT,
        "labels": {"type": ["object", "string"]},
    },
    "feature_usage": {
        "date": {"type": "string", "format": "date"}, "feature": _TEXT, "usage_count": _COUNT,
        "unique_users": _COUNT,
    },
}  # fmt: skip
"""Columns that the tables of the SQLite store and of the telemetry server share."""


def schema() -> dict[str, Any]:
    """Return the schema of a document with any metrics, spans and rows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Telemetry of MCP servers",
        "type": "object",
        "properties": {
            "metrics": _object({definition.name: {"$ref": f"#/$defs/{definition.name}"} for definition in DEFINITIONS}),
            "spans": _object({name: _object(attributes) for name, attributes in SPANS.items()}),
            "tables": _object({name: {"type": "array", "items": _object(columns)} for name, columns in TABLES.items()}),
        },
        "$defs": {
            definition.name: {
                "description": definition.description,
                "x-kind": definition.kind.value,
                "x-unit": definition.unit,
                "x-category": definition.category.value,
                "x-buckets": list(definition.buckets),
                "x-most-series": definition.most_series,
                **_object({"attributes": _object(dict.fromkeys(definition.attributes, _TEXT)), "value": _NUMBER}),
            }
            for definition in DEFINITIONS
        },
    }  # fmt: skip


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}
