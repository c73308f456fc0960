"""The ASGI application: authenticates, runs one statement, and answers as a ClickHouse server does.

A small result is answered whole, with its summary and, if it failed, with its error's status. A large one is sent on
while the engine makes it; an error after that is written behind what was sent and the connection is cut, as a server
does. When a client goes away its statement is cancelled in the engine.
"""

import asyncio
import fcntl
import hashlib
import hmac
import json
import math
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from prometheus_client import Counter

from clickhouse.engine import Engine
from clickhouse.http import native
from clickhouse.http.answer import GONE, Answer
from clickhouse.http.errors import QueryError
from clickhouse.http.policy import READS, Reach, Role, check, used_database
from clickhouse.http.request import Request, credentials, read
from clickhouse.http.session import Session, Summary
from clickhouse.http.sessions import Sessions
from clickhouse.http.statement import Parser, Statement, from_file, with_output

log = structlog.get_logger()

T = TypeVar("T")
_NUMBER: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
_PIPE: Final = 1 << 20
_TRY_AGAIN_SECONDS: Final = 0.1
_QUEUE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may ask."""

    name: str
    password: str
    role: Role


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement of a reader may take, and how many statements run at a time."""

    queries: int
    seconds: float
    memory_bytes: int
    result_rows: int
    result_bytes: int
    threads: int
    patience_seconds: float
    """How long each piece of a request's body may take to come."""

    def settings(self) -> dict[str, str]:
        """Write them as the engine's settings."""
        return {
            "max_execution_time": str(self.seconds),
            "max_memory_usage": str(self.memory_bytes),
            "max_result_rows": str(self.result_rows),
            "max_result_bytes": str(self.result_bytes),
            "max_threads": str(self.threads),
            # Of lower priority than ingest, where the two compete for a core.
            "os_threads_nice_value_query": "10",
        }


class ClickHouseHttp:
    """The interface on 8123. `served` counts by `user` and `outcome`. `close` after the last request."""

    def __init__(
        self, engine: Engine, database: str, users: list[User], limits: Limits, served: Counter
    ) -> None:
        self._engine = engine
        self._database = database
        self._users = {user.name: user for user in users}
        self._limits = limits
        self._served = served
        self._parsing = Session(engine)
        self._parser = Parser(self._parsing)
        self._parse_lock = asyncio.Lock()
        self._version = self._parsing.value("SELECT version()", {})
        self._timezone = self._parsing.value("SELECT timezone()", {})
        tables = self._parsing.value("SELECT toJSONString(groupArray(name)) FROM system.table_functions", {})
        functions = self._parsing.value(
            "SELECT toJSONString(groupArray([name, alias_to])) FROM system.functions", {}
        )
        self._reach = Reach(json.loads(tables), json.loads(functions))
        # Readers never hold up those who write: each role has its own slots and threads.
        self._slots = {role: asyncio.Semaphore(limits.queries) for role in Role}
        self._threads = ThreadPoolExecutor(2 * limits.queries + 1, thread_name_prefix="query")
        self._sessions = Sessions(engine, self._thread)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answer = Answer(send, self._timezone)
        name = "unknown"
        try:
            if await self._answer_plainly(scope, answer):
                return
            headers = {
                key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]
            }
            user = self._authenticate(headers, scope["query_string"])
            name = user.name
            request = await read(
                scope["method"], scope["query_string"], headers, receive, self._limits.patience_seconds
            )
            answer.query_id = request.url.get("query_id") or answer.query_id
            await self._run(request, user, answer, receive)
            self._served.labels(name, "done").inc()
        except QueryError as error:
            self._served.labels(name, "cancelled" if error is GONE else "failed").inc()
            await answer.fail(error, self._version)
        except Exception as error:  # noqa: BLE001  a service edge: clients must be answered whatever broke
            # Its name alone: a traceback could quote what a client sent.
            log.error("A query failed in an unforeseen way.", error=type(error).__name__)  # noqa: TRY400
            self._served.labels(name, "failed").inc()
            unforeseen = QueryError.of(
                1001, "STD_EXCEPTION", "The query failed in an unforeseen way; the log says more."
            )
            await answer.fail(unforeseen, self._version)

    def close(self) -> None:
        """Close what is open in the engine; no request may be under way."""
        self._sessions.close()
        self._threads.shutdown()
        self._parsing.close()

    async def _answer_plainly(self, scope: Mapping[str, Any], answer: Answer) -> bool:
        """Answer what needs no user: whether the server lives."""
        path, method = scope["path"], scope["method"]
        if method not in {"GET", "HEAD", "POST", "PUT", "OPTIONS"}:
            await answer.whole(501, b"Only GET, HEAD and POST are taken.\n", {})
        elif path in {"/ping", "/replicas_status"} or (
            path == "/" and not scope["query_string"] and method in {"GET", "HEAD"}
        ):
            await answer.whole(200, b"Ok.\n", {})
        elif path not in {"/", "/query"}:
            await answer.whole(404, b"There is no handle here. Use / or /ping.\n", {})
        else:
            return False
        return True

    def _authenticate(self, headers: Mapping[str, str], query_string: bytes) -> User:
        given = credentials(headers, query_string)
        if given is None:
            raise QueryError.of(
                194,
                "REQUIRED_PASSWORD",
                f"A user and password are needed: {' or '.join(self._users)}, by HTTP Basic, or"
                " the headers X-ClickHouse-User and X-ClickHouse-Key.",
            )
        name, password = given
        user = self._users.get(name)
        # The same work for every name, so that time tells nothing.
        expected = user.password if user else secrets.token_hex()
        matches = hmac.compare_digest(_digest(password), _digest(expected))
        if user is None or not matches:
            raise QueryError.of(
                516,
                "AUTHENTICATION_FAILED",
                "Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return user

    async def _run(self, request: Request, user: User, answer: Answer, receive: Any) -> None:
        if not request.sql:
            raise QueryError.of(62, "SYNTAX_ERROR", "Syntax error: Empty query")
        asked = request.url.get("database") or request.headers.get("x-clickhouse-database") or self._database
        using = used_database(asked, self._database)
        async with self._slot(user.role):
            statement = await self._parse(request)
            # GET changes nothing, whoever asks.
            role = user.role if request.method in {"POST", "PUT"} else Role.READER
            check(statement, role, self._database, self._reach)
            settings = self._settings(request, user.role)
            if user.role is Role.READER:
                lent = self._sessions.reading(using, settings)
            else:
                lent = self._sessions.writing(using, settings, request.url)
            async with lent as session:
                await self._execute(request, statement, session, user.role, answer, receive)

    def _settings(self, request: Request, role: Role) -> dict[str, str]:
        """Give the session's settings: a reader's wishes count up to the limits."""
        settings = dict(request.settings)
        if request.revision >= native.REVISION:  # whose results are rewritten in memory
            settings |= {"max_result_bytes": str(native.LARGEST), "max_memory_usage": str(4 * native.LARGEST)}
        if role is Role.WRITER:
            return settings
        for name, limit in self._limits.settings().items():
            wanted = settings.get(name, "")
            lower = _NUMBER.fullmatch(wanted) and 0 < float(wanted) <= float(limit)
            settings[name] = wanted if lower else limit
        for name in ("result_overflow_mode", "timeout_overflow_mode"):
            settings.setdefault(name, "throw")
        return settings

    async def _parse(self, request: Request) -> Statement:
        sql = request.sql if request.data is None else f"{request.sql} FORMAT {request.input_format}"
        if known := self._parser.remembered(sql, request.params):
            return known
        async with self._parse_lock:
            return await self._thread(lambda: self._parser.parse(sql, request.params))

    async def _execute(
        self,
        request: Request,
        statement: Statement,
        session: Session,
        role: Role,
        answer: Answer,
        receive: Any,
    ) -> None:
        answer.format = statement.format or request.default_format or "TabSeparated"
        answer.has_result = statement.kind in READS
        answer.framed = answer.has_result and request.flag("compress")
        if request.data is not None:
            summary = await self._insert(request, session)
            await answer.whole(200, b"", {"X-ClickHouse-Summary": summary.header()})
        elif answer.format == "Native" and request.revision >= native.REVISION:
            work = self._thread(lambda: _fetch_blocks(session, statement, request))
            data, summary = await self._watched(asyncio.ensure_future(work), session, receive)
            await answer.whole(200, data, {"X-ClickHouse-Summary": summary.header()})
        elif statement.around_output:
            await self._stream(request, statement, session, role, answer, receive)
        else:
            work = self._thread(lambda: session.fetch(request.sql, answer.format, request.params))
            data, summary = await self._watched(asyncio.ensure_future(work), session, receive)
            await answer.whole(200, data, {"X-ClickHouse-Summary": summary.header()})

    async def _insert(self, request: Request, session: Session) -> Summary:
        data = request.data
        assert data is not None  # noqa: S101  for the type checker
        sql = partial(from_file, request.sql, request.input_format)
        insert = await self._thread(lambda: session.insert(sql))
        try:
            async for piece in data:
                await self._thread(partial(insert.append, piece))
            return await self._thread(insert.finish)
        except BaseException:
            await self._thread(insert.abandon)
            raise

    async def _stream(
        self,
        request: Request,
        statement: Statement,
        session: Session,
        role: Role,
        answer: Answer,
        receive: Any,
    ) -> None:
        """Run a statement whose result comes through a pipe, and send it on as it comes."""
        assert statement.around_output is not None  # noqa: S101  for the type checker
        # The engine looks at its own limit once a block, which can be past it by far.
        limit = math.inf if role is Role.WRITER else self._limits.result_bytes
        answer.encoding = None if answer.framed else request.encoding
        source, target = os.pipe()
        fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, _PIPE)
        sql = with_output(statement.around_output, f"/proc/self/fd/{target}", answer.encoding or "none")
        if not statement.format:
            sql += f"FORMAT {answer.format}"
        work = asyncio.ensure_future(self._thread(lambda: session.stream(sql, target, request.params)))
        sender = asyncio.ensure_future(
            answer.stream(source, work, limit, everything_first=request.flag("wait_end_of_query"))
        )
        # The engine's limit of time stands still while it waits for a client that does not read.
        seconds = None if role is Role.WRITER else 2 * self._limits.seconds
        try:
            await asyncio.wait_for(self._watched(sender, session, receive), seconds)
        except TimeoutError:
            raise QueryError.of(
                159, "TIMEOUT_EXCEEDED", f"Timeout exceeded: nobody read the result in {seconds:g} s."
            ) from None
        finally:
            sender.cancel()
            await asyncio.wait([sender])
            os.close(source)  # or the engine waits for ever to write into it
            await self._end(work, session)

    async def _watched(self, work: "asyncio.Future[T]", session: Session, receive: Any) -> T:
        """Wait for what the engine does; when the client goes away meanwhile, cancel it there."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            both: list[asyncio.Future[Any]] = [work, gone]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._end(work, session)
                raise GONE
            return work.result()
        finally:
            gone.cancel()

    async def _end(self, work: "asyncio.Future[Any]", session: Session) -> None:
        """See to it that what the engine does has ended. Nobody is there to hear how."""
        # A statement that has not quite begun is not found: ask until it is.
        while not work.done():
            await self._thread(session.cancel)
            await asyncio.wait([work], timeout=_TRY_AGAIN_SECONDS)
        if not work.cancelled():
            work.exception()

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

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _fetch_blocks(session: Session, statement: Statement, request: Request) -> tuple[bytes, Summary]:
    """Run a statement for a client that announces a revision, and give it the blocks that it expects."""
    data, summary = session.fetch(request.sql, "Native", request.params)
    types: list[str] = []
    if statement.around_output and b"DateTime" in data[: 1 << 16]:
        described, _ = session.fetch(
            f"DESCRIBE TABLE ({statement.around_output[0]}\n)", "JSONCompactColumns", request.params
        )
        # Nested types are described over several lines.
        types = [" ".join(kind.split()).replace("( ", "(") for kind in json.loads(described)[1]]
    return native.rewrite(data, types), summary


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
