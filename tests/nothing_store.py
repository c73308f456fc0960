"""A store that is never asked, for what an MCP server says of itself."""

from collections.abc import Iterator, Mapping

from access.store import Rows


class NothingStore:
    """Fails when it is asked, with a secret in its words."""

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        del sql, values, at_most, max_bytes, is_beside
        raise LookupError("hunter2")

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        del sql, values, output_format
        raise LookupError("hunter2")
