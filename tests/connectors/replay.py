"""Recorded answers of real systems: a loopback server that gives them again, and a proxy that records them.

A recording is one exchange: method, path, parameters (of the URL and of a form; sorted), JSON body, and the answer's
status, type and body. A request is answered only by the recording of the same method, path, parameters and body; any
other gets status 501 and is listed in `unknown`, so that a test with outdated recordings fails and says so. Equal
requests that were answered differently are answered in that order, and the last answer from then on.
"""

import base64
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FILE = "exchanges.json"
_KEPT_HEADERS = ("content-type", "retry-after")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, without what differs from one time to the next: its host, its headers, ignored parameters."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: str = ""
    """JSON, with its keys in order; empty for none and for a form."""

    @classmethod
    def read(cls, method: str, target: str, kind: str, body: bytes, ignored: frozenset[str]) -> "Asked":
        """Return a request's method, path, parameters and body."""
        parts = urlsplit(target)
        params = parse_qsl(parts.query, keep_blank_values=True)
        text = ""
        if kind.startswith("application/x-www-form-urlencoded"):
            params += parse_qsl(body.decode(), keep_blank_values=True)
        elif body:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            text = "\n".join(json.dumps(_without(line, ignored), sort_keys=True) for line in lines)
        return cls(method, parts.path, tuple(sorted(one for one in params if one[0] not in ignored)), text)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Exchanges:
    """Answers by request, in the order in which they came."""

    answers: dict[Asked, list[Answered]] = field(default_factory=dict)
    unknown: list[Asked] = field(default_factory=list)
    _given: dict[Asked, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "Exchanges":
        """Read a folder's recordings."""
        found = cls()
        for one in json.loads((folder / FILE).read_text("utf-8")):
            asked = Asked(
                one["method"], one["path"], tuple((name, value) for name, value in one["params"]), one["body"]
            )
            for answer in one["answers"]:
                body = (
                    base64.b64decode(answer["base64"])
                    if "base64" in answer
                    else answer.get("text", "").encode()
                )
                found.answers.setdefault(asked, []).append(
                    Answered(answer["status"], answer["headers"], body)
                )
        return found

    def save(self, folder: Path) -> None:
        """Write the recordings, sorted."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "method": asked.method,
                "path": asked.path,
                "params": asked.params,
                "body": asked.body,
                "answers": [_row(answer) for answer in answers],
            }
            for asked, answers in sorted(self.answers.items(), key=lambda item: repr(item[0]))
        ]
        (folder / FILE).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def add(self, asked: Asked, answered: Answered) -> None:
        """Keep an answer, unless it is the same as the last."""
        answers = self.answers.setdefault(asked, [])
        if not answers or answers[-1] != answered:
            answers.append(answered)

    def next(self, asked: Asked) -> Answered:
        """Return the answer to a request."""
        answers = self.answers.get(asked)
        if answers is None:
            self.unknown.append(asked)
            text = f"No recording of {asked}: run scripts/record_backends.py again.\n"
            return Answered(501, {"content-type": "text/plain"}, text.encode())
        number = self._given.get(asked, 0)
        self._given[asked] = number + 1
        return answers[min(number, len(answers) - 1)]


@contextmanager
def replaying(exchanges: Exchanges, ignored: frozenset[str] = frozenset()) -> Iterator[str]:
    """Serve recorded answers on loopback; the address."""

    def answer(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
        return exchanges.next(Asked.read(method, target, headers.get("content-type", ""), body, ignored))

    with served(answer) as url:
        yield url


@contextmanager
def recording(
    url: str, exchanges: Exchanges, ignored: frozenset[str], scrubbed: Callable[[bytes], bytes]
) -> Iterator[str]:
    """Serve a system's answers on loopback, and keep them; the address."""
    lock = threading.Lock()
    there = urlsplit(url)

    def answer(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
        connection = http.client.HTTPConnection(there.hostname or "", there.port or 80, timeout=180)
        try:
            sent = {name: headers[name] for name in ("content-type", "accept") if name in headers}
            connection.request(method, there.path.rstrip("/") + target, body or None, sent)
            reply = connection.getresponse()
            kept = {name: value for name in _KEPT_HEADERS if (value := reply.getheader(name)) is not None}
            found = Answered(reply.status, kept, scrubbed(reply.read()))
        finally:
            connection.close()
        asked = Asked.read(method, target, headers.get("content-type", ""), body, ignored)
        with lock:
            exchanges.add(asked, found)
        return found

    with served(answer) as here:
        yield here


Answer = Callable[[str, str, Mapping[str, str], bytes], Answered]
"""What a server answers to a method, a target, headers by lower-case names, and a body."""


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve answers on a free loopback port, each connection in a thread of its own; the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answered = answer(self.command, self.path, headers, body)
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _row(answer: Answered) -> dict[str, Any]:
    row: dict[str, Any] = {"status": answer.status, "headers": dict(answer.headers)}
    try:
        return {**row, "text": answer.body.decode()}
    except UnicodeDecodeError:
        return {**row, "base64": base64.b64encode(answer.body).decode()}


def _without(value: Any, ignored: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, ignored) for name, one in value.items() if name not in ignored}
    if isinstance(value, list):
        return [_without(one, ignored) for one in value]
    return value
