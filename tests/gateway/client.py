"""The HTTP interface as one of its users sees it: statements in, text and statuses out."""

import httpx

from tests.server import NO_TLS, Server


class GatewayClient:
    """The interface of a running server, as one of its users sees it."""

    def __init__(self, server: Server, user: str) -> None:
        name = "CLICKHOUSE_PASSWORD" if user == "telemetry_user" else "TELEMETRY_READER_PASSWORD"
        self.url = f"http://{server.listening['clickhouse_http']}/"
        self.auth = (user, server.passwords[name])

    def post(self, content: str | bytes = b"", **params: str) -> httpx.Response:
        """Send one POST; `headers_…` become headers."""
        headers = {
            key[8:].replace("_", "-"): params.pop(key) for key in list(params) if key.startswith("headers_")
        }
        return httpx.post(
            self.url,
            content=content,
            params=params,
            headers=headers,
            auth=self.auth,
            timeout=180,
            verify=NO_TLS,
        )

    def get(self, **params: str) -> httpx.Response:
        """Send one GET."""
        return httpx.get(self.url, params=params, auth=self.auth, timeout=180, verify=NO_TLS)

    def text(self, sql: str, **params: str) -> str:
        """Run a statement that must succeed."""
        answer = self.post(sql, **params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def refused(self, sql: str | bytes, **params: str) -> tuple[int, int]:
        """Run a statement that must fail; return the status and ClickHouse's code."""
        answer = self.post(sql, **params)
        code = int(answer.headers["x-clickhouse-exception-code"])
        assert answer.text.startswith(f"Code: {code}. DB::Exception: "), answer.text
        return answer.status_code, code
