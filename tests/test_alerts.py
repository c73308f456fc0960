"""`alerts`: a new finding reaches a chat's webhook, really received over HTTP, once for each incident."""

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from access.insight.finding import Block, Finding
from access.insight.series import EVERYONE, Scope
from alerts.errors import AlertError
from alerts.incidents import FILE, GAP, opened, save
from alerts.message import message
from alerts.notices import MOST, Sent, notify
from alerts.webhook import Webhook
from tests.certificates import Authority, Pair
from tests.server import NO_TLS, Server, eventually
from tests.test_cli import telemetry

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATH = "/services/T0/B0/very-secret-part"
HOUR = timedelta(hours=1)
FOUND = Finding(
    block=Block.COST, kind="tool fails", thing="Bash make", scope=Scope("user", "sha256:" + 64 * "a"),
    users=("sha256:" + 64 * "a",), teams=("core",), since=NOW - 6 * HOUR, until=None, times=31.0, now=0.4, before=0.02,
    usd=3.2, minutes=12.0, title="tool Bash make fails", who="user user-aaaaaaaa, team core", reason="Since then 40%.",
    worked_out="its own requests", advice="Look.", check="Repaired.", sessions=("s1",), command="tool_errors",
)  # fmt: skip


class Chat:
    """A webhook that keeps what it is sent. `answers` are its next statuses; then it takes everything."""

    def __init__(self, shown: Pair | None = None) -> None:
        self.messages: list[Any] = []
        self.answers: list[int] = []
        self.asked = 0
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.asked += 1
                status = chat.answers.pop(0) if chat.answers else 200
                if status == 200 and self.path == PATH:
                    chat.messages.append(json.loads(body))
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class says so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if shown:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(shown.certificate, shown.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if shown else ''}://127.0.0.1:{self._server.server_port}{PATH}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.messages]


@pytest.fixture
def chat() -> Iterator[Chat]:
    made = Chat()
    yield made
    made.close()


def at_once(_: float) -> bool:
    return False


def send(directory: Path, url: str, findings: list[Finding], now: datetime = NOW) -> Sent:
    """Send as a process of its own would: from the file alone."""
    with opened(directory) as (incidents, path):
        return notify(findings, incidents, path, Webhook(url, wait=at_once), now)


@pytest.mark.parametrize(
    "hostile",
    [
        "<!channel> <!everyone> <@U123> <https://evil.example|click>",
        "@channel @here @all @everyone `x` [click](https://evil.example) ![](http://evil.example/a.png)",
        "a\n*b*\r\n\u202e\u200bc & www.evil.example",
        "<&>@" * 2_000,
    ],
)
def test_texts_of_telemetry_address_nobody_and_link_nowhere(hostile: str) -> None:
    """Whatever a tool, a team or a user is called: shown as it is, in a message that every chat takes."""
    text = message(
        replace(FOUND, title=hostile, who=hostile, reason=hostile, worked_out=hostile, advice=hostile)
    )
    assert not re.search(r"[<>@]|://|www\.|\]\(", text)
    assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    assert text.count("`") == text.count("`telemetry findings`") * 2
    assert len(text) <= 1_900


def test_a_message_is_received_over_https_and_only_there(tmp_path: Path) -> None:
    """The certificate is checked, by an authority of one's own too; the address is in no error."""
    authority = Authority(tmp_path, "chats")
    chat = Chat(authority.issue("chat"))
    try:
        Webhook(chat.url, authority.file, at_once).post("hello")
        assert chat.messages == [{"text": "hello"}]
        for ca_file, named in (
            (None, "TELEMETRY_ALERT_CA_FILE"),
            (tmp_path / "none.pem", "TELEMETRY_ALERT_CA_FILE"),
        ):
            with pytest.raises(AlertError, match=named) as refused:
                Webhook(chat.url, ca_file, at_once).post("hello")
            assert "secret" not in str(refused.value)
        assert chat.messages == [{"text": "hello"}]
    finally:
        chat.close()


@pytest.mark.parametrize(
    ("answers", "asked", "arrives"),
    [([503, 429], 3, True), ([500] * 5, 3, False), ([404], 1, False), ([302], 1, False), ([400], 1, False)],
)
def test_tries_are_few(chat: Chat, answers: list[int], asked: int, *, arrives: bool) -> None:
    """Again when the chat is busy, not when it will never take it."""
    chat.answers = answers
    webhook = Webhook(chat.url, wait=at_once)
    if arrives:
        webhook.post("hello")
    else:
        with pytest.raises(AlertError, match=str(answers[0])) as refused:
            webhook.post("hello")
        assert "secret" not in str(refused.value)
    assert (chat.asked, len(chat.messages)) == (asked, int(arrives))


DAY = timedelta(days=1)
GROWN = replace(FOUND, scope=Scope("team", "core"), users=(*FOUND.users, "sha256:" + 64 * "b"))
SAME = {
    "the same": FOUND,
    "its beginning moved back": replace(FOUND, since=FOUND.since - 2 * DAY),
    "its beginning moved on": replace(FOUND, since=NOW),
    "it is the team's by now": GROWN,
    "it is everyone's by now": replace(GROWN, scope=EVERYONE),
    "it is over": replace(FOUND, until=NOW),
    "it costs more": replace(FOUND, usd=9.9, times=99.0, reason="Since then 50%."),
}
OTHER = {
    "another tool": replace(FOUND, thing="Bash cargo"),
    "another measure": replace(FOUND, kind="tool time"),
    "another person": replace(FOUND, scope=Scope("user", "bob"), users=("bob",)),
    "it came back": replace(FOUND, since=NOW + GAP + HOUR),
}


@pytest.mark.parametrize(
    ("later", "is_new"),
    [*((one, False) for one in SAME.values()), *((one, True) for one in OTHER.values())],
    ids=[*SAME, *OTHER],
)
def test_an_incident_is_sent_once(chat: Chat, tmp_path: Path, later: Finding, *, is_new: bool) -> None:
    """Also after a restart, however its beginning moves and its scope grows."""
    assert send(tmp_path, chat.url, [FOUND]) == Sent(1, 0)
    assert send(tmp_path, chat.url, [later], NOW + HOUR) == (Sent(1, 0) if is_new else Sent(0, 1))
    assert len(chat.messages) == 1 + is_new


def test_an_incident_that_goes_on_for_weeks_is_sent_once(chat: Chat, tmp_path: Path) -> None:
    """Its beginning follows the period; what was over for some days and comes back is new."""
    for day in range(30):
        send(tmp_path, chat.url, [replace(FOUND, since=NOW + (day - 5) * DAY)], NOW + day * DAY)
    assert len(chat.messages) == 1
    send(tmp_path, chat.url, [], NOW + 35 * DAY)
    send(tmp_path, chat.url, [replace(FOUND, since=NOW + 36 * DAY)], NOW + 36 * DAY)
    assert len(chat.messages) == 2


def test_what_is_kept_has_no_text_and_is_for_its_owner(chat: Chat, tmp_path: Path) -> None:
    """Times and keyed hashes."""
    send(tmp_path, chat.url, [replace(GROWN, thing="jane-doe-tool")])
    kept = (tmp_path / FILE).read_text()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    for text in ("jane", "tool", "core", "aaaaaaaa", "user", "team"):
        assert text not in kept.replace('"users"', "")
    send(tmp_path / "other", chat.url, [GROWN])
    first, second = (
        json.loads((folder / FILE).read_text())["key"] for folder in (tmp_path, tmp_path / "other")
    )
    assert first != second


def test_a_chat_that_is_away_gets_it_with_the_next_look(chat: Chat, tmp_path: Path) -> None:
    """What did arrive is not sent again, and a damaged file is set aside."""
    two = [FOUND, replace(FOUND, thing="Bash cargo", title="tool Bash cargo fails")]
    chat.answers = [200, 400]
    first = send(tmp_path, chat.url, two)
    assert (first.sent, bool(first.failure), len(chat.messages)) == (1, True, 1)
    assert send(tmp_path, chat.url, two) == Sent(1, 1)
    assert ["make" in chat.texts[0], "cargo" in chat.texts[1]] == [True, True]
    (tmp_path / FILE).write_text('{"key": "no')
    assert send(tmp_path, chat.url, two) == Sent(2, 0)
    assert (tmp_path / FILE).with_suffix(".damaged").exists()


def test_a_flood_of_findings_is_a_few_messages(chat: Chat, tmp_path: Path) -> None:
    """The first of them, and how many are left."""
    many = [replace(FOUND, thing=f"Bash {number}") for number in range(MOST + 7)]
    assert send(tmp_path, chat.url, many) == Sent(MOST + 1, 0)
    assert "7 more findings" in chat.texts[-1]
    assert send(tmp_path, chat.url, many) == Sent(0, MOST + 7)


def test_two_processes_do_not_send_the_same(tmp_path: Path) -> None:
    """The file is held while one looks what is new: cron's command and the schedule come one after the other."""
    order: list[str] = []

    def second() -> None:
        with opened(tmp_path) as (incidents, _):
            order.append("second")
            assert incidents.is_known(FOUND)

    with opened(tmp_path) as (incidents, path):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
        incidents.remember(FOUND, NOW)
        save(incidents, path)
    thread.join(60)
    assert order == ["first", "second"]


def events(*kinds: tuple[str, timedelta, dict[str, str]]) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.name = "com.anthropic.claude_code.events"
    for kind, ago, values in kinds:
        pairs = {"event.name": kind, "session.id": "s", "user.email": "jane.doe@corp.example.com", **values}
        scope.log_records.add(
            time_unix_nano=time.time_ns() - int(ago.total_seconds()) * 10**9,
            attributes=[
                KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs.items()
            ],
        )
    return request.SerializeToString()


def test_a_server_sends_what_it_finds_and_cron_sends_it_no_second_time(
    chat: Chat, start: Callable[..., Server]
) -> None:
    """From telemetry to the chat and to Prometheus, by the schedule; then the command finds it known."""
    settings = {
        "TELEMETRY_ALERT_WEBHOOK": chat.url,
        "TELEMETRY_ALERT_SECONDS": "1",
        "TELEMETRY_WEB_PORT": "0",
    }
    server = start(**settings)
    server.post(
        "logs",
        events(
            ("user_prompt", 6 * DAY, {}),
            ("permission_mode_changed", HOUR, {"from_mode": "default", "to_mode": "bypassPermissions"}),
        ),
    ).raise_for_status()
    eventually(lambda: len(chat.messages) > 0, 120)
    assert "Permissions are bypassed" in chat.texts[0]
    assert "jane" not in chat.texts[0]
    web = f"http://{server.listening['web']}/metrics"
    shown: list[str] = []

    def is_shown() -> bool:
        shown[:] = httpx.get(web, timeout=30, verify=NO_TLS).text.splitlines()
        return any(line.startswith("telemetry_web_findings{") for line in shown)

    eventually(is_shown, 120)
    (line,) = [line for line in shown if line.startswith("telemetry_web_findings{")]
    labels = 'block="security",dimension="user",incident="[0-9a-f]{8}",kind="permissions bypassed"'
    assert re.fullmatch(rf"telemetry_web_findings\{{{labels}\}} 1\.0", line)
    given = {"TELEMETRY_DATA_DIR": str(server.data), "TELEMETRY_ALERT_WEBHOOK": chat.url}
    known = telemetry(
        "findings", "--notify", "--url", f"http://{server.listening['clickhouse_http']}", **given
    )
    assert (known.returncode, known.stderr) == (3, "Sent 0; 1 were known.\n")
    assert len(chat.messages) == 1
    assert "very-secret-part" not in server.log.read_text()


def test_the_webhook_can_be_tried(chat: Chat, tmp_path: Path) -> None:
    """Before anything has happened; without one the setting is named, and so it is when it refuses."""
    given = {"TELEMETRY_DATA_DIR": str(tmp_path), "TELEMETRY_ALERT_WEBHOOK": chat.url}
    done = telemetry("alerts", "test", **given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "each incident once" in chat.texts[0]
    chat.answers = [404]
    done = telemetry("alerts", "test", **given)
    assert done.returncode == 1
    assert "TELEMETRY_ALERT_WEBHOOK" in done.stderr
    assert "very-secret-part" not in done.stderr
    for wrong in ("", "ftp://chat", "hooks.slack.com/services"):
        done = telemetry("alerts", "test", **{**given, "TELEMETRY_ALERT_WEBHOOK": wrong})
        assert (done.returncode, "TELEMETRY_ALERT_WEBHOOK" in done.stderr) == (1, True)
