"""What the tools share while they answer: the store, who asks, what each may ask, what is kept.

One Desk serves a process; a Reading is the desk as one caller has it. Tools are functions of a Reading and of their
arguments, and raise a Refusal when they have no answer. They know nothing of MCP, of HTTP and of the command line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from access import budget
from access.answer import Answer, Freshness, Range
from access.beside import beside
from access.cache import (
    AGGREGATION_BYTES,
    AGGREGATION_SECONDS,
    QUERY_BYTES,
    QUERY_SECONDS,
    Cache,
    Kept,
    lifetime,
)
from access.cursor import Signer, fingerprint
from access.limits import Limiter
from access.refusal import Code, Refusal
from access.store import Rows, Store
from access.times import DAYS, DEFAULT_START, clickhouse, clickhouse_seconds, hours_within, period
from config.settings import Settings

T = TypeVar("T")
U = TypeVar("U")

RESULT_BYTES: Final = 1_000_000
_FRESHNESS: Final = "freshness"
_FRESH_SECONDS: Final = 5.0
_LATE: Final = timedelta(seconds=1)
_RECENT: Final = timedelta(days=1)
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def statement(name: str) -> str:
    """Return one of the statements of `sql/`."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8").strip()


def _present() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """What is the same for all callers."""

    store: Store
    signer: Signer = field(default_factory=Signer)
    limiter: Limiter | None = field(default_factory=Limiter)
    """None: anyone may ask as often as they like, as at the command line."""
    queries: Cache = field(default_factory=lambda: Cache(QUERY_SECONDS, QUERY_BYTES))
    aggregations: Cache = field(default_factory=lambda: Cache(AGGREGATION_SECONDS, AGGREGATION_BYTES))
    days: float = DAYS
    result_bytes: int = RESULT_BYTES
    clock: Callable[[], datetime] = _present
    budget_usd: float | None = None
    """What everybody's use may cost in a month."""

    def reading(self, caller: str) -> "Reading":
        """Return the desk as one caller has it."""
        return Reading(self, caller)


def desk(store: Store, settings: Settings, key: bytes | None = None) -> Desk:
    """Return a desk with the bounds of the settings; with a key, its cursors hold in each process that has it."""
    return Desk(
        store,
        Signer(key) if key else Signer(),
        Limiter(settings.queries_per_minute, settings.queries_at_once),
        Cache(settings.query_cache_seconds, settings.query_cache_bytes),
        Cache(settings.aggregation_cache_seconds, settings.aggregation_cache_bytes),
        settings.query_days,
        settings.tool_result_bytes,
        budget_usd=settings.budget_usd_month,
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A whole result that was kept, of which an answer shows a part."""

    rows: Rows
    sql: str
    parameters: Mapping[str, str]
    time_range: Range | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One caller at the desk."""

    desk: Desk
    caller: str

    @property
    def store(self) -> Store:
        """Where the tables are asked."""
        return self.desk.store

    def admit(self) -> None:
        """Count a question. Raises Refusal when the caller asks too often."""
        if self.desk.limiter is not None:
            self.desk.limiter.take(self.caller)

    def period(
        self,
        start: str | float | None,
        end: str | float | None,
        zone: str = "UTC",
        default: str = DEFAULT_START,
    ) -> tuple[Range, bool]:
        """Return the period that is meant, and whether it goes on. Raises Refusal."""
        now = self.desk.clock()
        found = period(start, end, now=now, zone=zone, days=self.desk.days, default_start=default)
        if found.end > now - _LATE:
            return found, True
        # A time that is counted from the present is another one a second later.
        later = period(start, end, now=now + _LATE, zone=zone, days=self.desk.days, default_start=default)
        return found, later != found

    def keep(
        self, cache: Cache, key: tuple[Any, ...], about: tuple[Range, bool], make: Callable[[], T]
    ) -> Kept[T]:
        """Return what is kept for these arguments, or make it and keep it as long as the period allows."""
        time_range, goes_on = about
        seconds = lifetime(time_range.end - time_range.start, goes_on=goes_on, seconds=cache.seconds)
        return cache.make(fingerprint(*key), make, seconds)

    def keep_and_look(
        self,
        cache: Cache,
        key: tuple[Any, ...],
        about: tuple[Range, bool],
        make: Callable[[], T],
        look: Callable[[tuple[Range, bool]], U],
        period_of: Callable[[T], Range | None] = lambda _: None,
    ) -> tuple[Kept[T], U]:
        """Do as `keep`, and return what is to be said of the period too: it is looked up while the answer is made.

        Of an answer that was kept, `period_of` says which period it is about; without it, this one.
        """
        begun: list[Callable[[], U]] = []

        def both() -> T:
            begun.append(beside(lambda: look(about)))
            return make()

        kept = self.keep(cache, key, about, both)
        return kept, begun[0]() if begun else look((period_of(kept.value) or about[0], about[1]))

    def freshness(self) -> Freshness:
        """Return how new the newest event is; looked up at most every few seconds."""
        return self._aged(self.desk.queries.make(_FRESHNESS, self._newest, _FRESH_SECONDS).value)

    def freshness_and_completeness(self, about: tuple[Range, bool]) -> tuple[Freshness, float | None]:
        """Return how new the newest event is, and the completeness of a period.

        That is the share of its events that have nothing missing or impossible, None without events.
        """
        time_range, _ = about
        values = bounds(time_range)
        kept = self.keep(
            self.desk.aggregations,
            ("completeness", *values.values()),
            about,
            lambda: self.store.rows(statement("completeness"), values, is_beside=True).rows[0],
        )
        flawed, events, *newest = kept.value
        share = 1 - flawed / events if events else None
        if kept.age_seconds is not None:
            return self.freshness(), share
        past = self._newest_past(*newest)
        self.desk.queries.put(_FRESHNESS, past, _FRESH_SECONDS)
        return self._aged(past), share

    def _aged(self, newest: datetime | None) -> Freshness:
        age = max(0, int((self.desk.clock() - newest).total_seconds())) if newest else None
        return Freshness(newest, age)

    def save(self, page: Page, key: tuple[Any, ...]) -> str | None:
        """Keep a whole result for its further pages. Returns its id, None when it has no room."""
        name = fingerprint("result", *key, self.desk.clock().isoformat())
        if not self.desk.queries.put(f"result {name}", page):
            return None
        return self.desk.signer.cursor(self.caller, "result", [name], self.desk.queries.seconds)

    def saved(self, result_id: str, field_name: str = "result_id") -> Page:
        """Return a result that was kept. Raises Refusal when it is another caller's, or no longer kept."""
        (name,) = self.desk.signer.position(result_id, self.caller, "result", field_name)
        kept = self.desk.queries.get(f"result {name}")
        if kept is None:
            raise Refusal(Code.EXPIRED, "This result is no longer kept. Ask again without it.", field_name)
        page: Page = kept.value
        return page

    def pages(
        self, answer: Answer, page: Page, offset: int, limit: int, characters: int, key: tuple[Any, ...]
    ) -> Answer:
        """Return the part of a whole result from an offset on, with the cursor to the next."""
        rest = page.rows.rows[offset : offset + limit]
        left = len(page.rows.rows) - offset - len(rest)
        result_id = answer.result_id
        if result_id is None and (
            left or len(budget.fit(replace(answer, rows=rest), characters).rows) < len(rest)
        ):
            result_id = self.save(page, key)
        made = replace(
            answer,
            columns=page.rows.columns,
            rows=rest,
            result_id=result_id,
            has_more=left > 0 or page.rows.has_more,
            total_count=None if page.rows.has_more else len(page.rows.rows),
        )

        def continue_at(count: int) -> str | None:
            if result_id is None or count == 0 or offset + count >= len(page.rows.rows):
                return None
            return self.desk.signer.cursor(
                self.caller, "page", [result_id, offset + count], self.desk.queries.seconds
            )

        return budget.fit(replace(made, next_cursor=continue_at(len(rest))), characters, continue_at)

    def page(self, cursor: str) -> tuple[Page, str, int]:
        """Return a kept result by a cursor of `pages`, with its id, and where the cursor goes on. Raises Refusal."""
        result_id, offset = self.desk.signer.position(cursor, self.caller, "page")
        return self.saved(result_id, "cursor"), result_id, offset

    def _newest(self) -> datetime | None:
        """Return the time of the newest event."""
        return self._newest_past(*self.store.rows(statement("newest"), is_beside=True).rows[0])

    def _newest_past(self, newest: datetime, stored: int) -> datetime | None:
        """Return the time of the newest event but those of clocks that are wrong, given that of all events.

        Where that lies in the future, rows are read: recent ones first.
        """
        if not stored:
            return None
        now = self.desk.clock()
        if newest <= now:
            return newest
        for begin in (now - _RECENT, _BEGINNING):
            found: datetime
            values = {"from": clickhouse(begin)}
            found, count = self.store.rows(statement("newest_of_past"), values, is_beside=True).rows[0]
            if count:
                return found
        return None


def bounds(time_range: Range) -> dict[str, str]:
    """Return a period as the values `from` and `to` of a statement, for DateTime64."""
    return {"from": clickhouse(time_range.start), "to": clickhouse(time_range.end)}


def hours(time_range: Range) -> dict[str, str]:
    """Return the whole hours within a period as the values `first_hour` and `last_hour`, for DateTime."""
    first, last = hours_within(time_range.start, time_range.end)
    return {"first_hour": clickhouse_seconds(first), "last_hour": clickhouse_seconds(last)}
