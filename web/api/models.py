"""What the REST interface takes and returns; the OpenAPI document is made of these models."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.contract import Health, HealthReport
from connectors.directory import DESCRIPTION, NAME, TAG, TAGS
from connectors.entry import Checked, Draft, Entry, Source
from connectors.remembered import Past


class Taken(BaseModel):
    """What is sent. Unknown fields and other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ConnectionWritten(Taken):
    """A connection, as it is written. In a PUT, a credential that is left out or `set` stays as it is."""

    name: str = Field(min_length=1, max_length=NAME, description="Unique among the user's own.")
    backend_type: str = Field(min_length=1, max_length=50, description="A kind of /observability/backends.")
    config: dict[str, Any] = Field(
        description="The kind's own fields; /observability/backends has their schema. Credentials are encrypted and"
        " never returned."
    )
    description: str = Field(default="", max_length=DESCRIPTION)
    is_enabled: bool = True
    is_default: bool = Field(
        default=False, description="The one that is asked when none is named; one for each kind."
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=TAG)]] = Field(
        default_factory=list, max_length=TAGS
    )

    def draft(self) -> Draft:
        """Return it as a draft."""
        return Draft(
            self.name,
            self.backend_type,
            self.config,
            self.description,
            self.is_enabled,
            self.is_default,
            tuple(self.tags),
        )


class ConnectionShown(BaseModel):
    """A connection. In its config each credential reads `set`."""

    id: str
    name: str
    description: str
    backend_type: str
    config: dict[str, Any]
    is_enabled: bool
    is_default: bool
    tags: list[str]
    signals: list[str] = Field(description="What it can be asked for: metrics, logs, traces.")
    source: Literal["state", "file", "own"] = Field(description="Only those of `state` can be changed here.")
    last_health_check_at: datetime | None
    health_status: Literal["healthy", "degraded", "unhealthy", "unknown"]
    health_error: str
    created_at: datetime | None
    updated_at: datetime | None


class Connections(BaseModel):
    """A page of connections."""

    connections: list[ConnectionShown]
    has_more: bool
    next_cursor: str | None
    total_count: int


class Tested(BaseModel):
    """What a health check found."""

    health_status: Literal["healthy", "degraded", "unhealthy", "unknown"]
    health_error: str
    version: str = Field(description="The system's own, where it says so.")
    last_health_check_at: datetime


class BackendShown(BaseModel):
    """A kind of system that can be connected."""

    backend_type: str
    title: str
    signals: list[str]
    config_schema: dict[str, Any] = Field(description="The JSON Schema of a connection's config.")


class Backends(BaseModel):
    """All kinds."""

    backends: list[BackendShown]


class QueryShown(BaseModel):
    """A question of the history. Its texts are without what is private."""

    id: str
    session_id: str
    connection_id: str
    connection_name: str
    tool: str
    query_type: str
    query_text: str
    query_params: dict[str, Any]
    result_count: int | None
    result_sample: Any = Field(description="The first results, at most ten.")
    error_code: str
    error_message: str
    execution_time_ms: int
    was_cached: bool
    queried_at: datetime


class Queries(BaseModel):
    """A page of the history, newest first. The total is not counted."""

    queries: list[QueryShown]
    has_more: bool
    next_cursor: str | None
    total_count: None = None


class Again(BaseModel):
    """What a question of the history yields now; the whole of it is in no answer."""

    query_id: str
    connection: str
    result_count: int
    result_sample: Any
    query_time_ms: int
    cached_age_seconds: float | None


class Problem(BaseModel):
    """Why there is no answer. Fields that do not apply are left out."""

    code: str
    message: str
    field: str = ""
    retry_after_seconds: float | None = None
    suggestions: list[str] = Field(default_factory=list)
    nearest: list[str] = Field(default_factory=list)
    accepted: list[str] = Field(default_factory=list)


class Failed(BaseModel):
    """The body of every error."""

    error: Problem


def shown(entry: Entry, signals: frozenset[Any]) -> ConnectionShown:
    """Return an entry as it is shown."""
    return ConnectionShown(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        backend_type=entry.backend_type,
        config=dict(entry.config),
        is_enabled=entry.is_enabled,
        is_default=entry.is_default,
        tags=list(entry.tags),
        signals=sorted(signal.value for signal in signals),
        source=_SOURCES[entry.source],
        last_health_check_at=entry.checked.at,
        health_status=_HEALTH[entry.checked.health],
        health_error=entry.checked.reason,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


def tested(report: HealthReport, checked: Checked) -> Tested:
    """Return what a check found, as it is shown."""
    assert checked.at is not None  # noqa: S101  it was checked
    return Tested(
        health_status=_HEALTH[report.health],
        health_error=report.reason,
        version=report.version,
        last_health_check_at=checked.at,
    )


def past(one: Past) -> QueryShown:
    """Return a question of the history as it is shown."""
    return QueryShown(
        **{name: getattr(one, name) for name in QueryShown.model_fields if name != "query_params"},
        query_params=dict(one.query_params),
    )


_SOURCES: dict[Source, Literal["state", "file", "own"]] = {
    Source.STATE: "state",
    Source.FILE: "file",
    Source.OWN: "own",
}
_HEALTH: dict[Health, Literal["healthy", "degraded", "unhealthy", "unknown"]] = {
    Health.HEALTHY: "healthy",
    Health.DEGRADED: "degraded",
    Health.UNHEALTHY: "unhealthy",
    Health.UNKNOWN: "unknown",
}
