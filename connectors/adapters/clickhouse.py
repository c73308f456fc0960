"""Another ClickHouse with the tables of the OpenTelemetry Collector's exporter, or another server of this program.

It is asked with the statements of the own store, over its HTTP interface, by the guarded client of all connections. A
user who may only read is meant; settings that stop a statement when its caller leaves are sent as long as the server
takes them from this user. A question whose caller leaves closes its connection.
Interface: https://clickhouse.com/docs/interfaces/http
"""

import asyncio
import concurrent.futures
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from pydantic import Field, SecretStr

from access.refusal import Code, Refusal
from access.store import ROWS, Rows, parsed, refusal
from connectors.adapters.telemetry import TelemetryStore
from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
from connectors.contract import BackendError, Health, HealthReport, Kind, Signal
from connectors.replies import error_of
from connectors.upstream import Reply, Target, Upstream

T = TypeVar("T")

STALE_SECONDS: Final = 900
"""A store whose newest record is older than this is degraded."""
_NEWEST: Final = """SELECT toUnixTimestamp(now()) - toUnixTimestamp(max(newest)) AS seconds, count() AS tables
FROM
(
    SELECT max(Timestamp) AS newest FROM otel_logs WHERE Timestamp >= now() - INTERVAL 1 DAY HAVING count() > 0
    UNION ALL
    SELECT max(Timestamp) FROM otel_traces WHERE Timestamp >= now() - INTERVAL 1 DAY HAVING count() > 0
    UNION ALL
    SELECT max(TimeUnix) FROM otel_metrics_gauge WHERE TimeUnix >= now() - INTERVAL 1 DAY HAVING count() > 0
    UNION ALL
    SELECT max(TimeUnix) FROM otel_metrics_sum WHERE TimeUnix >= now() - INTERVAL 1 DAY HAVING count() > 0
)"""
_READ_ONLY: Final = re.compile(
    r"\((?:READONLY|SETTING_CONSTRAINT_VIOLATION|UNKNOWN_SETTING)\)|Code: (?:164|452|115)\."
)
_FAILED: Final = re.compile(rb"Code: \d+\. DB::Exception: [^\0]*\Z")
_TAIL: Final = 1 << 15
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f", "'": "\\'"}
)
"""A parameter is read as a field of tab-separated values."""
_ERROR: Final = "DB::Exception"


class ClickHouseConfig(HttpConfig):
    """How another ClickHouse is asked."""

    user: str = Field(default="", max_length=128, description="A user who may only read, best.")
    password: SecretStr = SecretStr("")
    database: str = Field(
        default="default", pattern=r"^\w{1,64}$", description="Where the tables otel_… are."
    )

    def target(self) -> Target:
        """Return where requests are sent, with ClickHouse's own headers for the user."""
        found = super().target()
        if not self.user:
            return found
        own = {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password.get_secret_value()}
        return replace(found, headers={**found.headers, **own})


@dataclass(slots=True)
class _Caller:
    """The requests that one caller's thread waits for."""

    loop: asyncio.AbstractEventLoop
    waiting: "set[concurrent.futures.Future[Any]]" = field(default_factory=set)
    has_left: bool = False


_caller: ContextVar[_Caller] = ContextVar("_caller")


class UpstreamStore:
    """An `access.store.Store` over one connection. Its threads are begun by `threaded` alone."""

    def __init__(self, upstream: Upstream, database: str) -> None:
        self._upstream = upstream
        self._database = database
        self._takes_settings = True

    async def threaded(self, call: Callable[[], T]) -> T:
        """Return what a call yields that asks this store, in a thread; when the caller leaves, its requests end."""
        caller = _Caller(asyncio.get_running_loop())
        token = _caller.set(caller)
        try:
            return await asyncio.to_thread(call)
        except asyncio.CancelledError:
            caller.has_left = True
            for one in tuple(caller.waiting):
                one.cancel()
            raise
        finally:
            _caller.reset(token)

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer; see Store. Raises BackendError too."""
        del is_beside  # each system decides on its own memory
        body = self._asked(sql, values or {}, ROWS)
        if failure := _FAILED.search(body[-_TAIL:]):
            raise refusal(failure[0].decode("utf-8", "replace"))
        try:
            found = parsed(iter([body]), at_most, max_bytes)
        except Refusal as error:
            if error.code is not Code.INVALID_ARGUMENT:
                raise
            raise _malformed() from None
        names = (*found.columns, *found.types)
        if (
            not names
            or len(found.columns) != len(found.types)
            or not all(isinstance(one, str) for one in names)
        ):
            raise _malformed()
        return found

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer, which is read as a whole first; see Store."""
        yield self._asked(sql, values or {}, output_format)

    def _asked(self, sql: str, values: Mapping[str, str], output_format: str) -> bytes:
        reply = self._sent(sql, values, output_format)
        if not reply.is_success and self._takes_settings and _READ_ONLY.search(reply.text()):
            self._takes_settings = False
            reply = self._sent(sql, values, output_format)
        if not reply.is_success:
            words = reply.text()
            raise refusal(words) if _ERROR in words else error_of(reply)
        return reply.body

    def _sent(self, sql: str, values: Mapping[str, str], output_format: str) -> Reply:
        named = {name: value for name, value in values.items() if re.search(rf"\{{\s*{name}\s*:", sql)}
        params = [
            ("database", self._database),
            ("default_format", output_format),
            *((f"param_{name}", value.translate(_ESCAPES)) for name, value in named.items()),
        ]
        if self._takes_settings:
            params += [
                ("readonly", "2"),
                ("cancel_http_readonly_queries_on_client_close", "1"),
                ("max_execution_time", str(max(1, round(self._upstream.timeout_seconds)))),
            ]
        caller = _caller.get()
        asking = asyncio.run_coroutine_threadsafe(
            self._upstream.request("POST", "/", params=params, content=sql.encode()), caller.loop
        )
        caller.waiting.add(asking)
        if caller.has_left:
            asking.cancel()
        try:
            return asking.result()
        except concurrent.futures.CancelledError:
            raise BackendError(Kind.TIMEOUT, "The caller has left.") from None
        finally:
            caller.waiting.discard(asking)


class ClickHouse(TelemetryStore):
    """The adapter of another ClickHouse. It satisfies Adapter, Metrics, Logs and Traces."""

    def __init__(self, config: ClickHouseConfig, policy: Policy) -> None:
        self._upstream = Upstream(config.target(), policy)
        store = UpstreamStore(self._upstream, config.database)
        super().__init__(store, store.threaded)

    async def health(self) -> HealthReport:
        """Return whether the tables can be asked, how old the newest record is, and ClickHouse's version."""
        report = await super().health()
        if report.health is not Health.HEALTHY:
            return report
        try:
            ((seconds, tables),) = (await self._rows(_NEWEST, {})).rows
        except BackendError as error:
            reason = "The tables of the OpenTelemetry exporter (otel_logs, otel_traces, …) cannot be read:"
            return HealthReport(Health.UNHEALTHY, f"{reason} {error}", report.version)
        if not tables:
            return HealthReport(Health.DEGRADED, "Nothing arrived within a day.", report.version)
        if int(seconds) > STALE_SECONDS:
            reason = f"The newest record is {int(seconds) // 60:,} minutes old."
            return HealthReport(Health.DEGRADED, reason, report.version)
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()


def _malformed() -> BackendError:
    return BackendError(
        Kind.MALFORMED,
        "The answer is not in ClickHouse's rows: check that the connection's url leads to ClickHouse's HTTP interface.",
    )


CLICKHOUSE: Final = Backend(
    "clickhouse", "ClickHouse with OpenTelemetry's tables", frozenset(Signal), ClickHouseConfig, ClickHouse
)
BACKENDS: Final = (CLICKHOUSE,)
