"""`telemetry import`: transcripts become the events that the client sends, each once, and go away again."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from clickhouse.prices import read_prices
from clickhouse.pricing import Prices
from onboarding.history.event import Event
from onboarding.history.files import transcripts
from onboarding.history.importing import Import, Period, Summary
from onboarding.history.requests import RECORDS, Sender, requests
from onboarding.history.session import Taken
from telemetry.cli import main
from tests import transcript_lines as made
from tests.server import Server, running
from tests.test_demo import everything, own, rows_of

REAL = Path(__file__).parent / "data" / "transcripts"
VERSIONS = ("2.1.197", "2.1.332")
ALL = Period(0, 1 << 63)
ACCOUNT = {"userID": "0" * 64, "oauthAccount": {"emailAddress": made.SECRETS[0], "organizationName": "Jane"}}
OURS_ALONE = frozenset({"compact"})
"""Sources of requests that the client reports and does not write into transcripts."""


def events(folder: Path, *, prompts: bool = True, details: bool = True) -> tuple[list[Event], Summary]:
    summary = Summary()
    taken = Taken(prompts=prompts, tool_details=details)
    run = Import(ALL, taken, Prices(read_prices()), list, time.time() + 1e6, summary)
    found = transcripts([folder], summary.unread)
    return [event for batch in run.batches(found, lambda _: None) for event in batch], summary


def told(version: str) -> list[dict[str, Any]]:
    """Return what the same client sent over OTLP in the same sessions."""
    lines = (REAL / version / "events.jsonl").read_text().splitlines()
    return [json.loads(line)["attributes"] for line in lines]


@pytest.mark.parametrize("version", VERSIONS)
def test_real_transcripts_hold_what_the_same_client_sent(version: str) -> None:
    """Requests with tokens and cost, tool calls with outcome, prompts, subagents: by the client's own ids."""
    imported, summary = events(REAL / version / "projects")
    sent = [one for one in told(version) if one.get("query_source") not in OURS_ALONE]
    assert Counter(event.name for event in imported) == Counter(one["event.name"] for one in sent)
    assert summary.unread == {}
    assert summary.usd == pytest.approx(sum(one.get("cost_usd", 0) for one in sent))
    ours: dict[tuple[str, str], dict[str, Any]] = {}
    for event in imported:
        said = {**event.attributes, "session.id": event.session}
        ours[event.name, str(said.get("tool_use_id") or said.get("request_id") or said["prompt.id"])] = said
    same = {
        "api_request": ("model", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens",
                        "speed", "query_source", "agent.name", "prompt.id"),
        "tool_result": ("tool_name", "success", "prompt.id", "tool_parameters"),
        "tool_decision": ("tool_name", "decision", "tool_parameters"),
        "user_prompt": ("prompt", "prompt_length", "command_name"),
        "api_error": ("error", "status_code"),
    }  # fmt: skip
    for one in sent:
        name = one["event.name"]
        if name not in same:
            continue
        said = ours[name, one.get("tool_use_id") or one.get("request_id") or one["prompt.id"]]
        expected = {key: one.get(key) for key in (*same[name], "session.id")}
        if "prompt_length" in expected:
            expected["prompt_length"] = int(one["prompt_length"])
        assert {key: said.get(key) for key in expected} == expected


def test_tokens_and_cost_by_day_agree_with_an_independent_count(tmp_path: Path) -> None:
    """Repeated and growing usage, writes for an hour, subagents, copies, the client's own messages, missing usage."""
    made.write(tmp_path)
    imported, summary = events(tmp_path)
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(int))
    names = {"input_tokens": "input", "output_tokens": "output", "cache_read_tokens": "read",
             "cache_creation_5m_tokens": "5m", "cache_creation_1h_tokens": "1h"}  # fmt: skip
    for event in imported:
        if event.name == "api_request":
            day = str(time.strftime("%Y-%m-%d", time.gmtime(event.time // 10**9)))
            total = sums[day, str(event.attributes["model"])]
            total["requests"] += 1
            for name, key in names.items():
                total[key] += int(event.attributes.get(name, 0))
    expected = made.count(tmp_path)
    assert {key: dict(of) for key, of in sums.items()} == expected
    rates = {"input": 3, "output": 15, "read": 0.3, "5m": 3.75, "1h": 6}
    dollars = sum(
        of[key] * rate / 1e6
        for (_, model), of in expected.items()
        if model == made.MODEL
        for key, rate in rates.items()
    )
    assert summary.usd == pytest.approx(dollars)
    assert summary.unpriced == 2


def test_every_other_event_of_a_transcript(tmp_path: Path) -> None:
    """Prompts of people alone, calls and refusals, subagents by name, errors; what is left out is counted."""
    made.write(tmp_path)
    imported, summary = events(tmp_path)
    by_name = defaultdict[str, list[Event]](list)
    for event in imported:
        by_name[event.name].append(event)
    assert [(one.attributes["prompt.id"], one.session) for one in by_name["user_prompt"]] == [
        ("p1", made.SESSION), ("p2", made.RESUMED),
    ]  # fmt: skip
    results = {one.attributes["tool_name"]: one.attributes for one in by_name["tool_result"]}
    assert set(results) == {"Bash", "Agent", "Glob"}
    assert (results["Bash"]["success"], results["Bash"]["error_type"]) == ("false", "ShellError")
    assert results["Agent"]["duration_ms"] == 900
    decided = {
        str(one.attributes["tool_use_id"]).removeprefix("toolu_"): (
            one.attributes["decision"],
            one.attributes.get("source"),
        )
        for one in by_name["tool_decision"]
    }
    assert decided == {
        "a1": ("accept", None), "a2": ("reject", "user_reject"), "b1": ("accept", None),
        "l1": ("reject", "config"), "m1": ("reject", "config"), "n1": ("accept", "config"),
    }  # fmt: skip
    agents = Counter(one.attributes.get("agent.name") for one in by_name["api_request"])
    assert (agents["my-agent"], agents["custom"]) == (1, 2)
    (failed,) = by_name["api_error"]
    assert (failed.attributes["status_code"], failed.attributes["error"]) == (529, "Overloaded")
    (compaction,) = by_name["compaction"]
    assert (compaction.attributes["trigger"], compaction.attributes["pre_tokens"]) == ("auto", 9)
    assert {one.attributes["vcs.ref.head.name"] for one in imported} == {"feature/x"}
    assert summary.unread == {
        "lines that are not JSON objects": 3, "last lines being written": 1, "lines of an unknown type": 2,
        "calls whose input the client refused, of which it sends no event": 2,
    }  # fmt: skip
    assert summary.repeated > 15


def test_without_details_neither_content_nor_names_of_peoples_own_are_sent(tmp_path: Path) -> None:
    """As a client sends with its switches off: sizes, outcomes, ids."""
    made.write(tmp_path)
    imported, _ = events(tmp_path, prompts=False, details=False)
    raw = b"".join(requests(imported, Sender({"user.id": "u"}, {})))
    for word in (*made.SECRETS, "make", "my-agent", "Fix", "password"):
        assert word.encode() not in raw, word
    assert b"prompt_length" in raw


def test_a_response_that_is_being_written_is_left_to_the_next_run(tmp_path: Path) -> None:
    """Its tokens are not known yet; a session that ended is not waited for."""
    path = tmp_path / "one.jsonl"
    lines = [
        made.prompt(1, "Hi", promptId="p"),
        made.answer(2, "a", made.text("So"), output=1, stop_reason=None),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for now, expected in ((path.stat().st_mtime + 5, 0), (path.stat().st_mtime + 3600, 1)):
        summary = Summary()
        run = Import(ALL, Taken(), Prices([]), list, now, summary)
        for _ in run.batches(transcripts([path], summary.unread), lambda _: None):
            pass
        assert summary.added["api_request"] == expected
        assert summary.unread["responses being written"] == 1 - expected


def test_requests_are_bounded_and_marked(tmp_path: Path) -> None:
    """Every record and resource has the mark; resources are apart by the client's version."""
    made.write(tmp_path)
    imported, _ = events(tmp_path)
    many = imported * (2 * RECORDS // len(imported) + 1)
    bodies = [ExportLogsServiceRequest.FromString(body) for body in requests(many, Sender())]
    records = [
        record
        for body in bodies
        for group in body.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]
    assert len(records) == len(many)
    assert len(bodies) == len(many) // RECORDS + 1
    marked = [
        {pair.key: pair.value.string_value for pair in one.attributes}["telemetry.imported"]
        for one in records
    ]
    assert set(marked) == {"true"}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that keeps rows for ten years, so that the recorded sessions do not grow too old."""
    data = tmp_path_factory.mktemp("history") / "data"
    with running(data, TELEMETRY_BATCH_AGE_MS="0", TELEMETRY_RETENTION_DAYS="3650") as server:
        yield server


@pytest.fixture
def command(history: Server, home: Path) -> Callable[..., str]:
    """Return a function that runs the command beside the server, in an empty home directory."""
    port = history.listening["otlp_grpc"].rpartition(":")[2]

    def run(*arguments: str, code: int = 0) -> str:
        environment = {
            "TELEMETRY_OTLP_GRPC_PORT": port,
            "TELEMETRY_RETENTION_DAYS": "3650",
            "HOME": str(home),
        }
        done = CliRunner().invoke(main, ["import", *arguments], env={**own(history), **environment})
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_once_however_often_and_away_again(
    history: Server, command: Callable[..., str], tmp_path: Path, home: Path
) -> None:
    """A dry run adds nothing, a second run neither; files stay as they are; no secret is stored; all goes again."""
    made.write(tmp_path / "t")
    (home / ".claude.json").write_text(json.dumps(ACCOUNT))
    person = {"user.id": ACCOUNT["userID"], "user.email": made.SECRETS[0]}
    live = {
        **person,
        "session.id": made.SESSION,
        "event.name": "api_request",
        "model": made.MODEL,
        "output_tokens": 7,
    }
    # The same person, day and session has sent something of its own.
    history.export("logs", _request([{"time": 1_793_527_200_000_000_000, "attributes": live}]))
    before = everything(history)
    files = {path: _state(path) for path in (tmp_path / "t").rglob("*") if path.is_file()}
    folder = str(tmp_path / "t" / "projects")
    assert "Would add" in command(folder, "--dry-run")
    assert everything(history) == before
    said = command(folder)
    assert "Added" in said
    assert {path: _state(path) for path in files} == files
    added = everything(history)
    assert added != before
    again = command(folder)
    assert "nothing to add" in again
    assert everything(history) == added
    expected = made.count(tmp_path / "t")
    rows = rows_of(
        history,
        "SELECT toDate(timestamp) AS day, model, count(), sum(output_tokens) FROM telemetry_events"
        " WHERE event_type = 'api_request' AND attributes['telemetry.imported'] = 'true' GROUP BY ALL ORDER BY ALL",
    )
    assert [row.replace('"', "") for row in rows] == [
        f"{day},{model},{of['requests']},{of['output']}" for (day, model), of in sorted(expected.items())
    ]
    # The store works the cost out and says so, with the rates that the summary was made with.
    ((_, nanos), *unknown) = (row.replace('"', "").split(",") for row in _costs(history))
    assert f"${int(nanos) / 1e9:,.2f}" in said
    assert unknown == [["unknown", "0"]]
    stored = "\n".join(rows_of(history, "SELECT toString(tuple(*)) FROM otel_logs"))
    for secret in made.SECRETS:
        assert secret not in stored
    # Their history is theirs: one name for what they sent and what was imported.
    assert (
        len(rows_of(history, f"SELECT DISTINCT user_id FROM telemetry_events WHERE model = '{made.MODEL}'"))
        == 1
    )
    assert "The imported history is gone." in command("--remove")
    assert everything(history) == before
    assert "There is no imported history." in command("--remove")


def test_what_came_over_otlp_is_not_added(history: Server, command: Callable[..., str]) -> None:
    """The client sent its own events; the transcripts of the same sessions add nothing to them.

    Of a failure after the last retry it may send no request id, which the transcript has.
    """
    nameless = 0
    for version in VERSIONS:
        sent = _as_sent(version)
        for one in (
            event["attributes"] for event in sent if event["attributes"]["event.name"] == "api_error"
        ):
            nameless += bool(one.pop("request_id", ""))
        history.export("logs", _request(sent))
    assert nameless
    # A newer client sends a text under a further name, too: under none is it stored.
    texts = {
        str(one["attributes"]["prompt"])
        for version in VERSIONS
        for one in _as_sent(version)
        if len(str(one["attributes"].get("prompt", ""))) > 12
    }
    assert texts
    stored = "\n".join(rows_of(history, "SELECT toString(tuple(*)) FROM otel_logs"))
    assert [text for text in texts if text in stored] == []
    before = everything(history)
    assert "nothing to add" in command(*(str(REAL / version / "projects") for version in VERSIONS))
    assert everything(history) == before


def test_the_period_and_the_folders_are_the_users_choice(command: Callable[..., str], tmp_path: Path) -> None:
    """Only what is asked for; a folder that is not there is an error, and so is none."""
    made.write(tmp_path / "t")
    folder = str(tmp_path / "t")
    assert "on 1 day," in command(folder, "--since", "2026-11-02", "--until", "2026-11-02", "--dry-run")
    assert "There is no" in command(str(tmp_path / "elsewhere"), code=1)
    assert "There are no transcripts" in command(code=1)
    (tmp_path / ".claude").mkdir()
    (tmp_path / "t" / "projects").rename(tmp_path / ".claude" / "projects")
    assert "Would add" in command("--dry-run")


def _costs(server: Server) -> list[str]:
    return rows_of(
        server,
        "SELECT cost_source, sum(ifNull(cost_nanos, 0)) FROM telemetry_events WHERE event_type = 'api_request'"
        " AND attributes['telemetry.imported'] = 'true' GROUP BY cost_source ORDER BY cost_source",
    )


def _state(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def _as_sent(version: str) -> list[dict[str, Any]]:
    """Return the client's own events."""
    return [json.loads(line) for line in (REAL / version / "events.jsonl").read_text().splitlines()]


def _request(sent: list[dict[str, Any]]) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "claude-code"
    records = group.scope_logs.add().log_records
    for event in sent:
        record = records.add(time_unix_nano=event["time"])
        record.body.string_value = f"claude_code.{event['attributes']['event.name']}"
        for key, value in event["attributes"].items():
            one = record.attributes.add(key=key).value
            match value:
                case bool():
                    one.bool_value = value
                case int():
                    one.int_value = value
                case float():
                    one.double_value = value
                case _:
                    one.string_value = value
    return request.SerializeToString()
