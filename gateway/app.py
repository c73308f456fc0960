"""The ASGI application: authenticates, runs one statement, and answers as a ClickHouse server does.

A small result is sent whole, with its summary, or with its error's status if it failed. A large one is streamed while
the engine makes it; an error after that point is written at the end of the stream and the connection is cut, as a
server does.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from prometheus_client import Counter

from clickhouse.database import BESIDE
from clickhouse.engine import Engine
from gateway import native
from gateway.attempts import Attempts
from gateway.errors import QueryError
from gateway.execution import Execution
from gateway.inserted import Inserted
from gateway.kept_settings import KeptSettings
from gateway.limits import UNSTREAMED_BYTES, QueryLimits, is_within
from gateway.memory import Memory
from gateway.parser import Parser
from gateway.policy import SESSION, Reach, Role, check, used_database
from gateway.request import Request, credentials, read
from gateway.response import GONE, Response
from gateway.running import Running
from gateway.session import EngineSession
from gateway.session_pool import SessionPool
from gateway.statement import Statement
from gateway.structures import FILTERS

log = structlog.get_logger()

_QUEUE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class User:
    """A user of the interface."""

    name: str
    password: str
    role: Role


class ClickHouseHttp:
    """The interface on port 8123. Call `close` after the last request.

    `served` counts requests by `user` and `outcome`; `inserted` counts rows that came in here, by table.
    """

    def __init__(
        self,
        engine: Engine,
        database: str,
        users: list[User],
        limits: QueryLimits,
        served: Counter,
        inserted: Counter,
    ) -> None:
        self._engine = engine
        self._database = database
        self._users = {user.name: user for user in users}
        self._limits = limits
        self._served = served
        self._parsing = EngineSession(engine)
        self._parser = Parser(self._parsing, database)
        self._parse_lock = asyncio.Lock()
        self._version = self._parsing.value("SELECT version()", {})
        self._timezone = self._parsing.value("SELECT timezone()", {})
        tables = self._parsing.value("SELECT toJSONString(groupArray(name)) FROM system.table_functions", {})
        functions = self._parsing.value(
            "SELECT toJSONString(groupArray([name, alias_to])) FROM system.functions", {}
        )
        self._reach = Reach(json.loads(tables), json.loads(functions))
        # Each role has its own slots and threads, so readers never delay writers.
        self._slots = {role: asyncio.Semaphore(limits.queries) for role in Role}
        self._running = Running(limits.queries)
        self._memory = Memory(limits.all_memory_bytes, limits.memory_bytes, limits.queries)
        self._pool = SessionPool(engine, self._running.thread)
        self._kept = KeptSettings()
        self._attempts = Attempts()
        self._inserted = Inserted(database, inserted)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = Response(send, self._timezone)
        name = "unknown"
        try:
            if await self._answer_without_user(scope, response):
                return
            headers = {
                key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]
            }
            user = await self._authenticate(scope, headers)
            name = user.name
            response.frames_errors = _flag(scope["query_string"], "compress")
            request = await read(
                scope["method"],
                scope["query_string"],
                headers,
                receive,
                self._limits.patience_seconds,
                self._inflate,
            )
            response.query_id = request.url.get("query_id") or response.query_id
            await self._run(request, user, response, receive)
            self._served.labels(name, "done").inc()
        except QueryError as error:
            self._served.labels(name, "cancelled" if error is GONE else "failed").inc()
            await response.fail(error, self._version)
        except Exception as error:  # noqa: BLE001  a service edge: every request gets a response
            # Only its name is logged: a traceback could quote what a client sent.
            log.error("A query failed with an unexpected error.", error=type(error).__name__)  # noqa: TRY400
            self._served.labels(name, "failed").inc()
            unexpected = QueryError.of(
                1001,
                "STD_EXCEPTION",
                "The query failed with an unexpected error; its name is in the server's log.",
            )
            await response.fail(unexpected, self._version)

    @property
    def unfinished(self) -> int:
        """How many readers' statements run on although they were cancelled; the process need not wait for them."""
        return self._running.let_go

    def refuse(self) -> None:
        """Stop readers' statements, and begin none any more: the server stops."""
        self._running.refuse()

    def close(self) -> None:
        """Close all engine sessions and threads but those of readers' statements that run on."""
        self._pool.close()
        self._running.close()
        self._parsing.close()

    async def _answer_without_user(self, scope: Mapping[str, Any], response: Response) -> bool:
        """Answer a request that needs no user, such as `/ping`; return whether it was one."""
        path, method = scope["path"], scope["method"]
        if method not in {"GET", "HEAD", "POST", "PUT", "OPTIONS"}:
            await response.whole(501, b"Only GET, HEAD and POST are supported.\n", {})
        elif path in {"/ping", "/replicas_status"} or (
            path == "/" and not scope["query_string"] and method in {"GET", "HEAD"}
        ):
            await response.whole(200, b"Ok.\n", {})
        elif path not in {"/", "/query"}:
            await response.whole(404, b"There is no handle here. Use / or /ping.\n", {})
        else:
            return False
        return True

    async def _authenticate(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> User:
        given = credentials(headers, scope["query_string"])
        if given is None:
            raise QueryError.of(
                194,
                "REQUIRED_PASSWORD",
                "A user and password are needed, by HTTP Basic or by the headers X-ClickHouse-User and"
                " X-ClickHouse-Key.",
            )
        name, password = given
        async with self._attempts.of((scope.get("client") or ("",))[0], name):
            user = self._users.get(name)
            # The work is the same for every name, so that the response time does not show which users exist.
            expected = user.password if user else secrets.token_hex()
            matches = hmac.compare_digest(_digest(password), _digest(expected))
            if user is None or not matches:
                raise QueryError.of(
                    516,
                    "AUTHENTICATION_FAILED",
                    "Authentication failed: password is incorrect, or there is no user with such name.",
                )
        return user

    async def _run(self, request: Request, user: User, response: Response, receive: Any) -> None:
        if not request.sql:
            raise QueryError.of(62, "SYNTAX_ERROR", "Syntax error: Empty query")
        asked = request.url.get("database") or request.headers.get("x-clickhouse-database") or self._database
        using = used_database(asked, self._database)
        async with self._slot(user.role):
            statement = await self._parse(request, user.role)
            # GET changes nothing, for any user.
            role = user.role if request.method in {"POST", "PUT"} else Role.READER
            check(statement, role, self._database, self._reach)
            if FILTERS in request.settings:
                check(await self._filters(request, user.role), role, self._database, self._reach)
            if user.role is Role.READER:
                await self._read(request, statement, using, response, receive)
                return
            settings = self._settings(request)
            async with self._pool.writing(using, settings, request.url) as session:
                await Execution(
                    request, statement, user.role, response, receive, self._running, session, settings
                ).run(self._inserted)

    async def _read(
        self, request: Request, statement: Statement, using: str, response: Response, receive: Any
    ) -> None:
        """Run a reader's statement, with the memory that is free for it."""
        self._limits.check(statement.changes)
        if statement.kind in SESSION:
            defaults = frozenset(statement.settings - statement.changes.keys())
            self._kept.keep(request.url, statement.changes, defaults)
            await response.whole(200, b"", {})
            return
        share = self._memory.lend(is_beside=BESIDE in request.headers)
        runs_on: EngineSession | None = None
        try:
            settings = self._limited(request, statement, share)
            # The engine takes format() and its like for tables that are made, which `readonly = 1` does not allow.
            read_only = 2 if statement.makes_table else 1
            async with self._pool.reading(using, settings, read_only) as session:
                try:
                    await Execution(
                        request, statement, Role.READER, response, receive, self._running, session, settings
                    ).run(self._inserted)
                finally:
                    runs_on = session if session.work is not None else None
        finally:
            if runs_on is None:
                self._memory.give_back(share)
            else:
                await self._let_go(runs_on, share)

    async def _let_go(self, session: EngineSession, share: int) -> None:
        """Leave a statement that cannot be stopped the memory that it uses; others may have the rest."""
        used = await self._running.thread(session.memory_bytes)
        kept = self._memory.let_go(share, used)
        if session.work is None:
            self._memory.ended(kept)
        else:
            session.work.add_done_callback(lambda _: self._memory.ended(kept))

    def _settings(self, request: Request) -> dict[str, str]:
        """Return the session's settings as the client asks for them."""
        settings = dict(request.settings)
        if request.revision >= native.REVISION:  # its results are rewritten in memory
            settings |= {"max_result_bytes": str(native.LARGEST), "max_memory_usage": str(4 * native.LARGEST)}
        return settings

    def _limited(self, request: Request, statement: Statement, share: int) -> dict[str, str]:
        """Return a reader's settings; its own values apply up to the limits, and to `share` bytes of memory."""
        settings = self._kept.of(request.url) | self._settings(request) | statement.changes
        limits = self._limits.settings(share, statement.block_rows)
        if not statement.around_output:
            limits["max_result_bytes"] = str(min(self._limits.result_bytes, UNSTREAMED_BYTES))
        for name, limit in limits.items():
            wanted = settings.get(name, "")
            settings[name] = wanted if is_within(wanted, limit) else limit
        for name in ("result_overflow_mode", "timeout_overflow_mode"):
            settings.setdefault(name, "throw")
        return settings

    async def _parse(self, request: Request, role: Role) -> Statement:
        data_format = None if request.data is None else request.input_format
        if known := self._parser.remembered(request.sql, request.params, role, data_format):
            return known
        async with self._parse_lock:
            return await self._running.thread(
                lambda: self._parser.parse(request.sql, request.params, role, data_format)
            )

    async def _inflate(self, body: bytes) -> bytes:
        """Decompress a small body in Brotli, which the engine can."""
        async with self._parse_lock:
            return await self._running.thread(lambda: self._parsing.inflate(body))

    async def _filters(self, request: Request, role: Role) -> Statement:
        """Return what the filters in a request's URL name."""
        async with self._parse_lock:
            return await self._running.thread(
                lambda: self._parser.judge_filters(request.settings[FILTERS], role)
            )

    @asynccontextmanager
    async def _slot(self, role: Role) -> AsyncIterator[None]:
        slots = self._slots[role]
        try:
            await asyncio.wait_for(slots.acquire(), _QUEUE_SECONDS)
        except TimeoutError:
            raise QueryError.of(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                f"Too many simultaneous queries. Maximum: {self._limits.queries} (TELEMETRY_QUERIES); try again.",
            ) from None
        try:
            yield
        finally:
            slots.release()


def _flag(query_string: bytes, name: str) -> bool:
    """Whether a parameter of a URL is set to true."""
    return dict(parse_qsl(query_string.decode("latin-1"))).get(name, "0").lower() in {"1", "true"}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
