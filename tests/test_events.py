"""telemetry_events: the row of each log record, and the tables that are fed from it."""

import json
import time
import uuid
from typing import Any

from access.questions import find
from benchmarks import corpus
from tests import oracle
from tests.events import SERVICE, Record, Tables, event, logs
from tests.requests import surveyed

NOW = round(time.time()) - 3600.0
EMPTY: dict[str, Any] = {
    "event_type": "", "session_id": "s1", "user_id": "", "organization_id": "", "prompt_id": "", "sequence": None,
    "service_name": "claude-code", "service_version": "2.1.197", "terminal_type": "", "host_name": "",
    "team": "", "department": "", "cost_center": "", "project": "", "model": "",
    "model_name": "", "speed": "", "query_source": "", "agent_name": "",
    "skill_name": "", "plugin_name": "", "mcp_server_name": "", "mcp_tool_name": "", "workflow_step": "",
    "tool_name": "", "tool_use_id": "",
    "command": "", "input_id": 0, "result_bytes": None, "success": None, "decision": "", "decision_source": "",
    "duration_ms": None, "ttft_ms": None, "input_tokens": None, "output_tokens": None, "cache_read_tokens": None,
    "cache_creation_tokens": None, "cache_creation_5m_tokens": None, "cache_creation_1h_tokens": None, "cost_usd": None,
    "cost_nanos": None, "cost_source": "", "request_id": "", "attempt": None, "status_code": None, "api_error_code": "",
    "api_error_message": "", "error_type": "", "error_message": "", "failure": "", "tried_id": 0,
    "security": "", "prompt_length": None, "quality": [],
    "attributes": {},
}  # fmt: skip


# The number of what was tried says nothing by itself: it is compared with that of other rows.
SHOWN = "* EXCEPT (timestamp, arrived) REPLACE toUInt64(0) AS tried_id"


def rows(store: Tables, columns: str = SHOWN) -> list[dict[str, Any]]:
    return store.dicts(
        f"SELECT {columns} FROM telemetry_events ORDER BY timestamp, sequence"
        " SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 1"
    )


def one(store: Tables, record: Record, **resource: str) -> dict[str, Any]:
    """Store a record and return its row."""
    store.store("otel_logs", logs([record], SERVICE | resource))
    (row,) = rows(store)
    return row


def store_each(store: Tables, records: list[Record]) -> None:
    """Store records a second apart, in their order."""
    apart = [Record(record.time + at, record.attributes, record.body) for at, record in enumerate(records)]
    store.store("otel_logs", logs(apart))


def test_the_columns_are_those_promised(store: Tables) -> None:
    """The bundled questions and people's own SQL rely on these names."""
    promised = [
        "timestamp",
        "arrived",
        "event_type",
        "session_id",
        "user_id",
        "organization_id",
        "prompt_id",
        "sequence",
        "service_name",
        "service_version",
        "terminal_type",
        "host_name",
        "team",
        "department",
        "model",
        "query_source",
        "agent_name",
        "skill_name",
        "mcp_server_name",
        "mcp_tool_name",
        "tool_name",
        "tool_use_id",
        "success",
        "decision",
        "decision_source",
        "duration_ms",
        "ttft_ms",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_creation_tokens",
        "cost_usd",
        "request_id",
        "attempt",
        "status_code",
        "api_error_code",
        "api_error_message",
        "error_type",
        "workflow_step",
        "prompt_length",
        "attributes",
    ]
    columns = [row["name"] for row in store.dicts("DESCRIBE telemetry_events")]
    assert [name for name in promised if name not in columns] == []
    assert columns == ["timestamp", "arrived", *EMPTY]


def test_a_model_request_is_typed(store: Tables) -> None:
    """Every value that has a column is in it and nowhere else; the others are attributes."""
    record = event(
        NOW, "api_request", prompt__id="p1", event__sequence=7, organization__id="o1", terminal__type="vscode",
        user__id="u1", model="claude-opus-4-8", input_tokens=12, output_tokens=42, cache_read_tokens=1000,
        cache_creation_tokens=200, cost_usd=0.0028599999999999997, cost_usd_micros=2860, duration_ms=43,
        request_id="req_1", speed="normal", query_source="sdk", effort="high", agent__name="Explore",
        skill__name="review", mcp_server__name="github", mcp_tool__name="search", plugin__name="kit", ttft_ms=11,
        event__timestamp="2026-11-22T02:17:35.362Z",
    )  # fmt: skip
    assert one(store, record, department="engineering", **{"team.id": "platform"}) == EMPTY | {
        "event_type": "api_request", "prompt_id": "p1", "sequence": 7, "organization_id": "o1",
        "terminal_type": "vscode", "user_id": "u1", "model": "claude-opus-4-8", "model_name": "claude-opus-4-8",
        "cost_source": "reported", "input_tokens": 12, "output_tokens": 42,
        "cache_read_tokens": 1000, "cache_creation_tokens": 200, "cost_usd": 0.0028599999999999997,
        "cost_nanos": 2860000, "duration_ms": 43, "request_id": "req_1", "speed": "normal", "query_source": "sdk",
        "workflow_step": "sdk", "agent_name": "Explore", "skill_name": "review", "mcp_server_name": "github",
        "mcp_tool_name": "search", "plugin_name": "kit", "ttft_ms": 11, "team": "platform",
        "department": "engineering", "attributes": {"effort": "high"},
    }  # fmt: skip
    assert store.rows("SELECT toUnixTimestamp64Milli(timestamp) FROM telemetry_events") == [
        [round(NOW * 1000)]
    ]


def test_a_tool_result_keeps_its_labels_and_equal_input_an_equal_number(store: Tables) -> None:
    """The tool's input is a hash; its program and server are readable."""
    parameters = json.dumps({"bash_command": "git", "full_command": "git push --force"})
    given: dict[str, Any] = {
        "tool_name": "Bash",
        "success": "false",
        "error_type": "ShellError",
        "error": "exit 1",
    }
    for at, tool_input in enumerate(
        ('{"command": "git push"}', '{"command": "git push"}', '{"command": "git pull"}')
    ):
        record = event(
            NOW + at, "tool_result", tool_input=tool_input, tool_parameters=parameters, tool_result_size_bytes="148",
            decision_source="config", decision_type="accept", duration_ms="47", tool_use_id=f"toolu_{at}", **given,
        )  # fmt: skip
        store.store("otel_logs", logs([record]))
    found = rows(store)
    assert [{**row, "input_id": 0, "attributes": {}} for row in found] == [
        EMPTY | {
            "event_type": "tool_result", "tool_name": "Bash", "success": False, "error_type": "ShellError",
            "error_message": "exit 1", "failure": "tool Bash ShellError", "decision": "accept",
            "decision_source": "config", "duration_ms": 47, "tool_use_id": f"toolu_{at}", "command": "git",
            "result_bytes": 148,
        }
        for at in range(3)
    ]  # fmt: skip
    ids = [row["input_id"] for row in found]
    assert ids[0] == ids[1] != ids[2] != 0
    assert found[0]["attributes"]["tool_parameters.full_command"] == "git"
    assert not found[0]["attributes"].keys() & {"tool_input", "tool_parameters"}


def test_a_number_may_be_sent_as_any_type(store: Tables) -> None:
    """Versions differ in it."""
    values = ["47", "47.0", "4.7e1", 47, 47.0]
    store_each(
        store,
        [event(NOW, "api_request", model="m", cost_usd=0.5, duration_ms=n, input_tokens=n) for n in values],
    )
    expected = EMPTY | {
        "event_type": "api_request", "model": "m", "model_name": "m", "duration_ms": 47, "input_tokens": 47,
        "cost_usd": 0.5, "cost_nanos": 500000000, "cost_source": "reported",
    }  # fmt: skip
    assert rows(store) == [expected] * len(values)


def test_truth_may_be_sent_as_any_type(store: Tables) -> None:
    """And a failure is one whichever way it is said."""
    values = {True: ("true", "True", True, 1), False: ("false", "FALSE", False, 0)}
    sent = [(value, meant) for meant, ways in values.items() for value in ways]
    store_each(store, [event(NOW, "tool_result", tool_name="Read", success=value) for value, _ in sent])
    assert rows(store) == [
        EMPTY | {
            "event_type": "tool_result", "tool_name": "Read", "success": meant, "failure": "" if meant else "tool Read",
        }
        for _, meant in sent
    ]  # fmt: skip


def test_cost_in_micros_stands_in_for_cost(store: Tables) -> None:
    """And one that cannot be true does not hide the other."""
    costs = [{"cost_usd_micros": 2860}, {"cost_usd": "", "cost_usd_micros": "2860"}, {"cost_usd": 2.25}]
    store.store(
        "otel_logs",
        logs([event(NOW + at, "api_request", model="m", **cost) for at, cost in enumerate(costs)]),
    )
    assert [(row["cost_usd"], row["cost_nanos"], row["quality"]) for row in rows(store)] == [
        (0.00286, 2860000, []),
        (0.00286, 2860000, ["empty_cost_usd"]),
        (2.25, 2250000000, []),
    ]


def test_what_cannot_be_true_is_kept_and_flagged(store: Tables) -> None:
    """Its column is NULL, so that no total is distorted."""
    cases: list[tuple[str, str | float, str]] = [
        ("duration_ms", -5, "negative_duration_ms"),
        ("duration_ms", "-0.5", "negative_duration_ms"),
        ("duration_ms", 1e12, "excessive_duration_ms"),
        ("duration_ms", "soon", "unreadable_duration_ms"),
        ("duration_ms", "", "empty_duration_ms"),
        ("duration_ms", float("nan"), "unreadable_duration_ms"),
        ("input_tokens", 1e300, "excessive_input_tokens"),
        ("input_tokens", float("inf"), "excessive_input_tokens"),
        ("input_tokens", 1.5, "fractional_input_tokens"),
        ("cache_read_tokens", 2**63 - 1, "excessive_cache_read_tokens"),
        ("cost_usd", 1e6, "excessive_cost_usd"),
        ("cost_usd", "-1", "negative_cost_usd"),
        ("attempt", "many", "unreadable_attempt"),
        ("status_code", 10**6, "excessive_status_code"),
        ("event.sequence", -1, "negative_event_sequence"),
        ("success", "maybe", "unreadable_success"),
    ]
    base = {"event.name": "note", "session.id": "s1"}
    store_each(store, [Record(NOW, {**base, name: value}) for name, value, _ in cases])
    for (name, _, flag), row in zip(cases, rows(store), strict=True):
        assert list(row.pop("attributes")) == [name]
        assert row == {
            key: value for key, value in EMPTY.items() if key != "attributes"
        } | {"event_type": "note", "quality": [flag]}  # fmt: skip


def test_what_should_be_there_and_is_not_is_flagged(store: Tables) -> None:
    """Without a session, a model, a cost or a tool's name."""
    nameless = Record(NOW, {"event.name": "api_request"})
    store.store("otel_logs", logs([nameless, event(NOW + 1, "tool_result")]))
    assert [row["quality"] for row in rows(store)] == [
        ["no_session_id", "no_model", "no_cost"],
        ["no_tool_name"],
    ]


def test_a_wrong_clock_is_flagged(store: Tables) -> None:
    """Events of the far future stay out of every period that ends now."""
    future = 4_133_980_800.0  # 2101
    store.store("otel_logs", logs([event(future, "note"), event(NOW, "note")]))
    assert [(row["event_type"], row["quality"]) for row in rows(store)] == [
        ("note", []),
        ("note", ["time_too_late"]),
    ]
    for table, column in (("hourly", "hour"), ("daily", "day")):
        assert store.rows(f"SELECT sum(events) FROM telemetry_{table} WHERE {column} < now()") == [[1]]
    assert store.rows("SELECT toString(max(day)), max(ended) FROM telemetry_sessions") == [
        ["2100-01-01", "2100-01-01 00:00:00.000"]
    ]


def test_a_connection_that_failed_has_no_status(store: Tables) -> None:
    """The client then sends the text `undefined`, which is nothing to complain about."""
    row = one(
        store,
        event(NOW, "api_error", status_code="undefined", error="Connection error.", attempt=11, model="m"),
    )
    assert row == EMPTY | {
        "event_type": "api_error", "api_error_code": "connection", "api_error_message": "Connection error.",
        "failure": "api connection", "attempt": 11, "model": "m", "model_name": "m",
    }  # fmt: skip


def test_failures_have_a_category(store: Tables) -> None:
    """One definition for every question: the events that are failures, and their kinds."""
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("api_error", {"status_code": 529}, "api 529"),
        ("api_error", {"error": "Repeated 529 Overloaded errors"}, "api 529"),
        ("api_error", {"error": "API Error: 503 Service Unavailable"}, "api 503"),
        ("api_error", {"error": "Connection closed after 500000 bytes"}, "api connection"),
        ("api_error", {"error": "5000 of them"}, "api connection"),
        ("api_retries_exhausted", {"status_code": 529, "total_attempts": 11}, ""),
        (
            "tool_result",
            {"tool_name": "mcp_tool", "success": False, "error_type": "McpToolCallError"},
            "tool mcp_tool McpToolCallError",
        ),
        (
            "tool_result",
            {"tool_name": "mcp_tool", "success": False, "mcp_server_name": "a-b", "mcp_tool_name": "c"},
            "tool mcp__a-b__c",
        ),
        ("api_refusal", {"server_fallback_hop": False}, "api refusal"),
        ("api_refusal", {"server_fallback_hop": True}, ""),
        ("tool_result", {"tool_name": "Bash", "success": "true"}, ""),
        ("tool_decision", {"tool_name": "Bash", "decision": "reject", "source": "user_reject"}, ""),
        ("internal_error", {"error_name": "TypeError"}, "internal TypeError"),
        ("mcp_server_connection", {"status": "failed"}, "mcp connection"),
        ("mcp_server_connection", {"status": "connected"}, ""),
        (
            "hook_execution_complete",
            {"hook_event": "PreToolUse", "num_non_blocking_error": 1},
            "hook PreToolUse",
        ),
        ("hook_execution_complete", {"hook_event": "PreToolUse", "num_non_blocking_error": "0"}, ""),
        ("compaction", {"success": "false"}, "compaction"),
        ("auth", {"success": "false", "error_category": "network"}, "auth"),
        ("brand_new", {"success": False}, "brand_new"),
    ]
    store_each(store, [event(NOW, name, **attributes) for name, attributes, _ in cases])
    assert [row["failure"] for row in rows(store)] == [failure for _, _, failure in cases]


def test_a_user_is_known_by_what_there_is(store: Tables) -> None:
    """The email's hash, else the end user's, else the installation's id; the others stay attributes."""
    cases: list[tuple[dict[str, str], str, set[str]]] = [
        (
            {"user.email": "a@b.example", "enduser.id": "e", "user.id": "i"},
            "sha256:",
            {"enduser.id", "user.id"},
        ),
        ({"enduser.id": "e", "user.id": "i"}, "sha256:", {"user.id"}),
        (
            {"user.email": "", "user.id": "i", "user.account_uuid": "c"},
            "i",
            {"user.email", "user.account_uuid"},
        ),
        ({"user.account_uuid": "c"}, "c", set()),
    ]
    base = {"event.name": "note", "session.id": "s1"}
    store_each(store, [Record(NOW, base | attributes) for attributes, _, _ in cases])
    assert [(row["user_id"][:7], row["attributes"].keys()) for row in rows(store)] == [
        (user, rest) for _, user, rest in cases
    ]


def test_a_team_is_the_resources_or_the_events(store: Tables) -> None:
    """The client copies its resource's attributes onto every event unless told not to."""
    cases: list[tuple[dict[str, str], dict[str, str], str]] = [
        ({"team.id": "a", "team": "b"}, {}, "a"),
        ({"team": "b"}, {"team.id": "c"}, "b"),
        ({}, {"team.id": "c"}, "c"),
        ({}, {"team": "d"}, "d"),
        ({}, {}, ""),
    ]
    base = {"event.name": "note", "session.id": "s1"}
    for at, (resource, attributes, _) in enumerate(cases):
        store.store("otel_logs", logs([Record(NOW + at, base | attributes)], SERVICE | resource))
    assert [row["team"] for row in rows(store)] == [team for _, _, team in cases]


def test_a_tool_of_an_mcp_server_is_known_by_it(store: Tables) -> None:
    """By its name, or by the labels that were sent or kept of its parameters; the rest of a name is the tool's."""
    labels = '{"mcp_server_name":"jira","mcp_tool_name":"find"}'
    cases: list[tuple[str, dict[str, str], tuple[str, str]]] = [
        ("mcp__github__create_issue", {}, ("github", "create_issue")),
        ("mcp__docs__find__symbol", {}, ("docs", "find__symbol")),
        ("mcp__my__docs__find", {"mcp_server_name": "my__docs"}, ("my__docs", "find")),
        ("mcp__my_docs__a__b", {"mcp_server.name": "my docs"}, ("my docs", "a__b")),
        ("mcp__docs__a__b", {"mcp_server_name": "other"}, ("other", "a__b")),
        ("mcp__docs__a", {"mcp_tool_name": "b"}, ("docs", "b")),
        ("mcp__docs", {}, ("docs", "")),
        ("mcp_tool", {"tool_parameters": labels}, ("jira", "find")),
        ("Read", {}, ("", "")),
    ]
    store_each(
        store, [event(NOW, "tool_result", tool_name=tool, **attributes) for tool, attributes, _ in cases]
    )
    assert [(row["mcp_server_name"], row["mcp_tool_name"]) for row in rows(store)] == [
        name for _, _, name in cases
    ]


def test_the_workflow_step_is_the_teams_own_or_where_the_query_came_from(store: Tables) -> None:
    """`workflow.step` of the resource, of the event, else the query source."""
    record = event(NOW, "api_request", query_source="compact", workflow__step="plan", model="m", cost_usd=1)
    assert one(store, record, **{"workflow.step": "ship"})["workflow_step"] == "ship"
    store.clear()
    assert one(store, record)["workflow_step"] == "plan"


def test_events_of_any_name_are_kept_and_other_peoples_logs_are_not(store: Tables) -> None:
    """By scope, by name, or by service: other programs' records stay in otel_logs alone."""
    bare = Record(NOW, {"event.name": "brand_new", "session.id": "s1"})
    named = Record(NOW + 1, {"session.id": "s1"}, event_name="claude_code.by_name")
    bodied = Record(NOW + 2, {"session.id": "s1"}, "claude_code.by_body")
    told = Record(NOW + 3, {"session.id": "s1"}, "something else")
    store.store("otel_logs", logs([bare, named, bodied, told]))
    other = {"service.name": "shop"}
    store.store("otel_logs", logs([bare, named, bodied, told], other, "shop.events"))
    for service in ("claude-code-desktop", "cowork"):
        store.store("otel_logs", logs([bare, told], {"service.name": service}, ""))
    assert sorted((row["service_name"], row["event_type"]) for row in rows(store)) == sorted([
        ("claude-code", "brand_new"), ("claude-code", "by_name"), ("claude-code", "by_body"),
        ("claude-code", "unnamed"),
        ("shop", "by_name"), ("shop", "by_body"),
        ("claude-code-desktop", "brand_new"), ("cowork", "brand_new"),
    ])  # fmt: skip
    assert store.rows("SELECT count() FROM otel_logs") == [[12]]


def test_what_a_security_review_wants_has_a_kind(store: Tables) -> None:
    """One definition for every question, as with failures."""
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("tool_decision", {"decision": "reject", "source": "user_abort"}, "refused by a person"),
        ("tool_decision", {"decision": "reject", "source": "hook"}, "refused by a hook"),
        ("tool_decision", {"decision": "reject", "source": "config"}, "refused by a rule"),
        ("tool_decision", {"decision": "accept", "source": "config"}, ""),
        ("hook_execution_complete", {"num_blocking": "1"}, "blocked by a hook"),
        ("hook_execution_complete", {"num_blocking": 0}, ""),
        ("permission_mode_changed", {"to_mode": "bypassPermissions"}, "permissions bypassed"),
        ("permission_mode_changed", {"to_mode": "acceptEdits"}, "asks less"),
        ("permission_mode_changed", {"to_mode": "plan"}, ""),
        ("plugin_installed", {"marketplace.is_official": "false"}, "unofficial plugin"),
        ("plugin_installed", {"marketplace.is_official": True}, ""),
        ("plugin_loaded", {"plugin.scope": "community"}, "unofficial plugin"),
        ("plugin_loaded", {"plugin.scope": "official"}, ""),
        ("auth", {"action": "login", "success": "false"}, "failed login"),
        ("auth", {"action": "logout", "success": "true"}, "logout"),
        ("api_refusal", {}, "refused by the model"),
    ]
    store_each(store, [Record(NOW, {"event.name": name, **attributes}) for name, attributes, _ in cases])
    # Rows lie by kind, not by time: hence by time again.
    assert [row["security"] for row in rows(store)] == [kind for _, _, kind in cases]


def test_content_stays_in_the_log_records(store: Tables) -> None:
    """At every privacy level, prompts and tool input are not stored a second time."""
    content = dict.fromkeys(
        ("prompt", "response", "tool_input", "tool_parameters", "body", "hook_definitions"), "x"
    )
    row = one(store, Record(NOW, {"event.name": "note", "session.id": "s1", "effort": "high", **content}))
    assert row["attributes"] == {"effort": "high"}


def test_wrong_values_are_shown(store: Tables) -> None:
    """The question lists each fault with the value that was sent, and clocks that are wrong."""
    late = event(4_133_980_800.0, "note")
    wrong = [event(NOW + at, "tool_result", tool_name="Read", duration_ms="-5") for at in range(2)]
    store.store("otel_logs", logs([*wrong, event(NOW, "tool_result", tool_name="Read"), late]))
    question = find("data_quality")
    answered = store.dicts(question.sql, **question.values({}))
    assert [(row["fault"], row["event"], row["events"], row["sample"]) for row in answered] == [
        ("negative_duration_ms", "tool_result", 2, "-5"),
        ("time_too_late", "note", 1, ""),
    ]
    assert answered[0]["percent"] == 66.67


def test_gaps_are_hours_without_events(store: Tables) -> None:
    """Between the first hour and the last of the period, with what is usual then."""
    monday = 1_790_553_600 - 1_790_553_600 % 86_400
    hours = [0, 1, 2, 6, 7, 24 * 7 + 3]
    store.store("otel_logs", logs([event(monday + 3600.0 * hour, "note") for hour in hours]))
    question = find("gaps")
    period = {"from": oracle.at(monday), "to": oracle.at(monday + 8 * 3600), "hours": "2"}
    (gap,) = store.dicts(question.sql, **question.values(period))
    assert (gap["begins"], gap["ends"], gap["hours"], gap["usual_events"]) == (
        oracle.at(monday + 3 * 3600), oracle.at(monday + 6 * 3600), 3, 1,
    )  # fmt: skip
    since_before = period | {"from": oracle.at(monday - 7 * 86_400)}
    assert [row["begins"] for row in store.dicts(question.sql, **question.values(since_before))] == [
        gap["begins"]
    ]


def test_a_block_stored_twice_adds_nothing_anywhere(store: Tables) -> None:
    """A retry after a lost answer: not in the events, nor in anything fed from them."""
    block = store.transform.run(
        "otel_logs",
        surveyed(
            "otel_logs",
            [
                logs(
                    [
                        event(NOW + at, "api_request", model="m", cost_usd=1, input_tokens=5)
                        for at in range(20)
                    ]
                )
            ],
        ),
    ).data
    counted = (
        "SELECT (SELECT count() FROM otel_logs), (SELECT count() FROM telemetry_events),"
        " (SELECT sum(events) FROM telemetry_hourly), (SELECT sum(cost_nanos) FROM telemetry_daily),"
        " (SELECT sum(input_tokens) FROM telemetry_sessions)"
    )
    writer, token = store.writer, uuid.uuid4().hex
    for _ in range(3):
        writer.insert("otel_logs", block, token)
    assert store.rows(counted) == [[20, 20, 20, 20 * 10**9, 100]]
    writer.insert("otel_logs", block, uuid.uuid4().hex)
    assert store.rows(counted) == [[40, 40, 40, 40 * 10**9, 200]]


def test_a_block_of_spans_stored_twice_adds_nothing_anywhere(store: Tables) -> None:
    """As with log records: not in the narrow table, nor in the index of traces."""
    request = corpus.traces(200, 1, round(NOW * 1e9))
    block = store.transform.run("otel_traces", surveyed("otel_traces", [request])).data
    counted = (
        "SELECT (SELECT count() FROM otel_traces), (SELECT count() FROM telemetry_spans),"
        " (SELECT count() FROM otel_traces_trace_id_ts)"
    )
    writer, token = store.writer, uuid.uuid4().hex
    writer.insert("otel_traces", block, token)
    ((spans, narrow, traces),) = store.rows(counted)
    assert spans == 200
    assert 0 < narrow < spans
    assert 0 < traces < spans
    for _ in range(2):
        writer.insert("otel_traces", block, token)
    assert store.rows(counted) == [[spans, narrow, traces]]
    writer.insert("otel_traces", block, uuid.uuid4().hex)
    assert store.rows(counted) == [[2 * spans, 2 * narrow, 2 * traces]]


def test_equal_blocks_are_not_taken_for_one(store: Tables) -> None:
    """Two blocks may well have the same totals: tokens tell them apart, not what they hold."""
    for at in range(3):
        store.store("otel_logs", logs([event(NOW + at, "api_request", model="m", cost_usd=1)]))
    assert store.rows("SELECT sum(events), sum(cost_nanos) FROM telemetry_hourly") == [[3, 3 * 10**9]]
    assert store.rows("SELECT sum(events), sum(cost_nanos) FROM telemetry_daily") == [[3, 3 * 10**9]]
