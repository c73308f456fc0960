"""A Store over the engine of the test process, for tests that compare answers with plain Python."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from access.refusal import Code, Refusal
from access.store import ROWS, Rows, parsed
from clickhouse.engine import Engine, EngineError


@dataclass(slots=True)
class EngineStore:
    """Asks the database that the engine uses now, also later; `asked` holds the statements, in order."""

    engine: Engine
    asked: list[str] = field(default_factory=list)
    database: str = field(init=False)

    def __post_init__(self) -> None:
        self.database = str(self.engine.rows("SELECT currentDatabase()")[0][0])

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer; see Store."""
        del is_beside
        return parsed(self.stream(sql, values, ROWS), at_most, max_bytes)

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the whole answer."""
        self.asked.append(sql)
        self.engine.use(self.database)
        try:
            yield self.engine.query(sql, values, output_format)
        except EngineError as error:
            raise Refusal(Code.QUERY_FAILED, str(error)) from None
