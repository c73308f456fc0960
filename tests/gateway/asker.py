"""Plain HTTP requests as other clients make them, and readers of the bytes in the answers."""

import struct
from typing import Any

import httpx
import lz4.block
import lz4.frame
from clickhouse_cityhash.cityhash import CityHash128

from tests.server import NO_TLS, Server


class Asker:
    """Sends requests as another client would."""

    def __init__(self, server: Server) -> None:
        self._url = f"http://{server.listening['clickhouse_http']}"
        self._password = server.passwords["TELEMETRY_READER_PASSWORD"]
        self.user = "telemetry_reader"

    @property
    def keys(self) -> dict[str, str]:
        """ClickHouse's own headers for user and password."""
        return {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self._password}

    def __call__(
        self,
        sql: str | bytes | None = None,
        *,
        method: str = "POST",
        path: str = "/",
        basic: bool = False,
        **parts: Any,
    ) -> httpx.Response:
        """Send one request; `params` are the URL's, `headers` are added."""
        headers = {"accept-encoding": "identity", **({} if basic else self.keys), **parts.pop("headers", {})}
        auth = (self.user, self._password) if basic else None
        return httpx.request(
            method,
            self._url + path,
            content=sql,
            headers=headers,
            auth=auth,
            timeout=180,
            verify=NO_TLS,
            **parts,
        )

    def bare(self, path: str, method: str = "GET") -> httpx.Response:
        """Send a request without a user."""
        return httpx.request(method, self._url + path, timeout=180, verify=NO_TLS)


def unframed(data: bytes) -> bytes:
    """Take ClickHouse's compressed frames apart, each checked by its hash."""
    content = b""
    while data:
        first, second, method, size, length = struct.unpack_from("<QQBII", data)
        frame = data[16 : 16 + size]
        assert CityHash128(frame) == first << 64 | second
        assert method == 0x82
        content += lz4.block.decompress(frame[9:], uncompressed_size=length)
        data = data[16 + size :]
    return content


def row_binary(data: bytes) -> tuple[list[str], list[str], bytes]:
    """Read the names and types at the beginning of RowBinaryWithNamesAndTypes; return the bytes after them too."""
    columns, rest = data[0], data[1:]
    texts = []
    for _ in range(2 * columns):
        text, rest = pascal(rest)
        texts.append(text)
    return texts[:columns], texts[columns:], rest


def pascal(data: bytes) -> tuple[str, bytes]:
    """Read a text of less than 128 bytes with its length before it."""
    assert data[0] < 128
    return data[1 : 1 + data[0]].decode(), data[1 + data[0] :]
