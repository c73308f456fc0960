"""The OpenAPI 3.1 document of the REST interface, made of the models that requests are read with."""

from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from web.api import models
from web.api.answering import PREFIX

_TAKEN: Final[tuple[type[BaseModel], ...]] = (models.ConnectionWritten,)
_SHOWN: Final[tuple[type[BaseModel], ...]] = (
    models.ConnectionShown,
    models.Connections,
    models.Tested,
    models.Backends,
    models.QueryShown,
    models.Queries,
    models.Again,
    models.Failed,
)
_ONE: Final = "/observability/connections/{connection_id}"
_PAST: Final = "/observability/query-history/{query_id}"


@cache
def document(version: str) -> dict[str, Any]:
    """Return the document."""
    pairs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(one, "validation") for one in _TAKEN]
    pairs += [(one, "serialization") for one in _SHOWN]
    _, schemas = models_json_schema(pairs, ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Claude Code telemetry: observability",
            "version": version,
            "description": "Connections to other observability systems, and the history of questions to them. Each"
            " user has connections of their own: the user is the name of the token's holder.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Failed": _content(models.Failed, "Why there is no answer.")},
        },
    }


def _paths() -> dict[str, Any]:
    connection = _parameter("connection_id", "path", {"type": "string", "minLength": 1}, "Its id or name.")
    query = _parameter("query_id", "path", {"type": "string", "minLength": 1}, "Its id.")
    page = [
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, ""),
        _parameter("cursor", "query", {"type": "string"}, "next_cursor of the page before."),
    ]
    session = _parameter("session_id", "query", {"type": "string"}, "Questions of one session alone.")
    written = {
        "required": True,
        "content": {"application/json": {"schema": _reference(models.ConnectionWritten)}},
    }
    return {
        "/observability/backends": {
            "get": _operation("listBackends", "The kinds of system that can be connected.", models.Backends)
        },
        "/observability/connections": {
            "get": {
                **_operation("listConnections", "The caller's connections.", models.Connections),
                "parameters": page,
            },
            "post": {
                **_operation("addConnection", "Add a connection.", models.ConnectionShown, 201),
                "requestBody": written,
            },
        },
        _ONE: {
            "parameters": [connection],
            "get": _operation("getConnection", "One connection.", models.ConnectionShown),
            "put": {
                **_operation("replaceConnection", "Write a connection again.", models.ConnectionShown),
                "requestBody": written,
            },
            "delete": _operation("removeConnection", "Remove a connection.", None, 204),
        },
        f"{_ONE}/test": {
            "parameters": [connection],
            "post": _operation("testConnection", "Check a connection's health now.", models.Tested),
        },
        "/observability/query-history": {
            "get": {
                **_operation("listQueries", "The caller's questions, newest first.", models.Queries),
                "parameters": [session, *page],
            }
        },
        _PAST: {
            "parameters": [query],
            "get": _operation("getQuery", "One question.", models.QueryShown),
        },
        f"{_PAST}/run": {
            "parameters": [query],
            "post": _operation("runQuery", "Ask a question again, over the same period.", models.Again),
        },
    }


def _operation(name: str, summary: str, model: type[BaseModel] | None, status: int = 200) -> dict[str, Any]:
    done = {"description": "Done."} if model is None else _content(model, "The answer.")
    failed = {"$ref": "#/components/responses/Failed"}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): done, "4XX": failed, "5XX": failed},
    }


def _content(model: type[BaseModel], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": _reference(model)}},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        **({"description": description} if description else {}),
    }
