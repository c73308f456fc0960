"""A stand-in for the model on loopback: it calls the tools that a script names, in order, and keeps what it saw.

It speaks just enough of the Messages API, as a stream or whole.
Source: https://docs.claude.com/en/api/messages-streaming
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Step = tuple[str, dict[str, Any]]


class Model:
    """The script, and what came of it: `results` are the tools' answers as the model gets them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.results: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self.needs_servers = True
        """Whether to wait until tools of MCP servers are there."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the content block of an answer to one request."""
        if not request.get("tools"):
            return {"type": "text", "text": "A title"}
        self.requests.append(request)
        found = [
            block
            for message in request["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block.get("type") == "tool_result" and not block["tool_use_id"].startswith("wait")
        ]
        self.results = [_text(block["content"]) for block in found]
        if self.needs_servers and not any(tool["name"].startswith("mcp__") for tool in request["tools"]):
            # The client does not wait for its servers.
            wait = {"command": "sleep 2", "description": "Wait"}
            return {"type": "tool_use", "id": f"wait_{len(self.requests)}", "name": "Bash", "input": wait}
        if len(found) == len(self.steps):
            return {"type": "text", "text": "Done."}
        name, arguments = self.steps[len(found)]
        return {"type": "tool_use", "id": f"call_{len(found)}", "name": name, "input": arguments}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@contextmanager
def scripted(*steps: Step) -> Iterator[Model]:
    """Serve a script."""
    model = Model(steps)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "count_tokens" in self.path:
                self._send("application/json", json.dumps({"input_tokens": 1}).encode())
                return
            block = model.answer(body)
            message = _message(block)
            if body.get("stream"):
                self._send("text/event-stream", b"".join(_events(message, block)))
            else:
                self._send("application/json", json.dumps({**message, "content": [block]}).encode())

        def do_GET(self) -> None:
            self._send("application/json", b"{}")

        def do_HEAD(self) -> None:
            self._send("application/json", b"")

        def _send(self, content_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _message(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-stand-in",
        "content": [],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _events(message: dict[str, Any], block: dict[str, Any]) -> Iterator[bytes]:
    is_call = block["type"] == "tool_use"
    empty = {**block, "input": {}} if is_call else {"type": "text", "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if is_call
        else {"type": "text_delta", "text": block["text"]}
    )
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    for event in (
        {"type": "message_start", "message": {**message, "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
