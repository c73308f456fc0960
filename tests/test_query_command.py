"""`telemetry query`, as people run it: against a running server, and where it matters in a process of its own."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from access.query import ask
from access.questions import questions
from access.show import Asked, page
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from telemetry.cli import main
from tests.server import AS_INSTALLED, CAPTURES, ROOT, Server

OURS = ("TELEMETRY_", "CLICKHOUSE_")


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """Send what a real client sent, in JSON, three hours ago: periods begin with whole hours."""
    moment = str(time.time_ns() - 3 * 3600 * 10**9)
    for path in sorted(CAPTURES.glob("*/*-logs.json")):
        document = json.loads(path.read_text())
        for resource in document["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    record["timeUnixNano"] = moment
        assert server.post("logs", json.dumps(document).encode(), "application/json").status_code == 200
    return server


def environment(server: Server) -> dict[str, str]:
    """Return what a shell beside the server has set."""
    port = server.listening["clickhouse_http"].rpartition(":")[2]
    return {"TELEMETRY_DATA_DIR": str(server.data), "TELEMETRY_CLICKHOUSE_HTTP_PORT": port}


def of_a_process(server: Server) -> dict[str, str]:
    """Return the environment of a process of its own, without any setting of this machine's."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(OURS)}
    return {**kept, **AS_INSTALLED, **environment(server)}


def query(server: Server, *arguments: str, code: int = 0, text: str = "", **more: str) -> Result:
    """Run the command and check its exit code."""
    ours = {name: None for name in os.environ if name.startswith(OURS)}
    done = CliRunner().invoke(main, ["query", *arguments], text, {**ours, **environment(server), **more})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.stderr
    return done


def test_a_question_is_asked_by_name(filled: Server) -> None:
    """In a table, by default over the last seven days."""
    shown = query(filled, "tools").stdout
    assert "failure" in shown.splitlines()[0]
    assert "Read" in shown
    assert query(filled, "tools", "-p", "from=5 minutes ago").stderr == (
        "No rows: nothing arrived in this period: telemetry query freshness says when something last did.\n"
    )


def test_tables_fit_and_ids_are_short(filled: Server) -> None:
    """At most 130 characters wide; a short id is accepted as the whole one; --full and CSV have that."""
    with Client(filled.endpoint()) as client:
        for question in questions():
            found = page(client, Asked(question.sql, question.values({}), question), "table")
            assert found is not None
            assert max((len(line) for line in found.text.splitlines()), default=0) <= 130, question.name
    whole = query(filled, "sessions", "-p", "order=usd", "-f", "jsonl").stdout.splitlines()
    session = json.loads(whole[0])["session"]
    shown = query(filled, "sessions", "-p", "order=usd").stdout
    assert session[:8] in shown
    assert session not in shown
    assert session in query(filled, "sessions", "--full").stdout
    by_short = query(filled, "session", "-p", f"session={session[:8]}", "-f", "csv").stdout
    assert by_short == query(filled, "session", "-p", f"session={session}", "-f", "csv").stdout != ""
    user = json.loads(whole[0])["user"]
    alias = f"user-{user.removeprefix('sha256:')[:8]}"
    assert alias in shown
    assert json.loads(query(filled, "users", "-f", "jsonl").stdout.splitlines()[0])["user"] == user
    assert query(filled, "cost", "-p", f"user={alias}", "-f", "csv").stdout.count("\n") > 1


def test_numbers_are_for_people_in_tables_and_exact_elsewhere(filled: Server) -> None:
    """Money has cents or four digits; what is not known is blank; a statement of one's own is shown as it is."""
    session = query(filled, "session", "-p", "session=", "-f", "jsonl").stdout
    costs = [row["usd"] for line in session.splitlines() if (row := json.loads(line))["usd"] is not None]
    assert costs
    assert all(cost == 0.0028599999999999997 for cost in costs)
    shown = query(filled, "session").stdout
    assert "0.00286" in shown
    assert "0.002859" not in shown
    assert "NULL" not in shown
    assert "ᴺᵁᴸᴸ" not in shown
    own = query(filled, "SELECT 0.1 + 0.2 AS x, NULL AS n, concat('a', char(27), '[2J') AS t").stdout
    assert own.splitlines()[-1].split() == ["0.3", "a␛[2J"]


def test_an_answer_says_what_is_not_collected(filled: Server) -> None:
    """On standard error, with the switch and the command, so that what is read by programs stays clean."""
    for name in ("retries", "permission_wait"):
        done = query(filled, name, "-f", "csv")
        assert (
            "needs CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and OTEL_TRACES_EXPORTER=otlp: telemetry setup"
            in done.stderr
        )
    assert "needs" not in query(filled, "programs").stderr


def test_an_answer_without_rows_says_why(filled: Server) -> None:
    """Whether nothing arrived, nothing of that part, or nothing of the kind happened."""
    for name in ("team", "user", "project", "model"):
        for form in ("table", "markdown", "csv", "json", "jsonl"):
            said = query(filled, "errors", "-p", f"{name}=\x1bnowhere", "-f", form).stderr
            assert said.startswith(f"No rows: nothing of the {name} ␛nowhere arrived in this period.\n")
            assert "CLAUDE_CODE_ENABLE_TELEMETRY" not in said
    assert query(filled, "session", "-p", "session=nowhere").stderr.splitlines()[0] == (
        "No rows: there is no such session: the question sessions lists them."
    )


def test_only_an_answer_without_rows_is_said_to_have_none(filled: Server) -> None:
    """In the formats for programs too; a statement may ask for one of its own, whose only line is a row."""
    for form in ("csv", "json", "jsonl"):
        assert query(filled, "tools", "-f", form).stderr == ""
        assert query(filled, "SELECT 1 WHERE 0", "-f", form).stderr == ("" if form == "csv" else "No rows.\n")
    for sql in (
        "SELECT 1 FORMAT TSV",
        "SELECT 'data' AS meta, [] AS data FORMAT JSONEachRow",
        "SELECT 1 FORMAT JSON",
        "SELECT repeat('x', 100000) FROM numbers(3)",
    ):
        for form in ("csv", "json", "jsonl"):
            assert query(filled, sql, "-f", form).stderr == ""


def test_demo_data_that_is_left_out_is_named(filled: Server) -> None:
    """A person who asks about an invented team, beside real data, learns how to have it."""
    attributes = [
        {"key": name, "value": {"stringValue": value}}
        for name, value in (("event.name", "tool_result"), ("tool_name", "Read"), ("success", "true"))
    ]
    records = [{"timeUnixNano": str(time.time_ns() - 3 * 3600 * 10**9), "attributes": attributes}]
    resource = {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "claude-code"}},
            {"key": "team.id", "value": {"stringValue": "demo-yeti"}},
        ]
    }
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    assert filled.post("logs", json.dumps(body).encode(), "application/json").status_code == 200
    said = query(filled, "tools", "-p", "team=demo-yeti").stderr
    assert "nothing of the team demo-yeti arrived in this period but demo data" in said
    assert "records=all has it" in said
    assert "Read" in query(filled, "tools", "-p", "team=demo-yeti", "-p", "records=all").stdout


def test_before_anything_arrived_an_answer_says_how_to_begin(start: Callable[..., Server]) -> None:
    """Not that nothing failed."""
    server = start()
    for name in ("errors", "tools", "session", "cost"):
        assert query(server, name).stderr == (
            "No rows: no telemetry has arrived yet: telemetry setup points Claude Code here, telemetry demo invents"
            " some.\n"
        )


def test_every_question_is_answered_over_http(filled: Server) -> None:
    """As the user who only reads: nothing in them is refused."""
    reader = Client(filled.endpoint())
    refused = {}
    for question in questions():
        try:
            answer = b"".join(ask(reader, question.sql, question.values({}), "csv"))
        except ClientError as error:
            refused[question.name] = str(error)
        else:
            names = answer.split(b"\n", 1)[0].decode().replace('"', "")
            assert names.split(",") in ([""], list(question.columns))
    assert refused == {}
    reader.close()


def test_formats(filled: Server, tmp_path: Path) -> None:
    """CSV, JSON, Markdown, Parquet."""
    assert query(filled, "SELECT 1 AS a, 'x' AS b", "-f", "csv").stdout == '"a","b"\n1,"x"\n'
    assert json.loads(query(filled, "tools", "-f", "json").stdout)["rows"] >= 1
    assert query(filled, "SELECT 1 AS a", "-f", "markdown").stdout == "| a |\n|-:|\n| 1 |\n"
    target = tmp_path / "out.parquet"
    query(filled, "SELECT number AS n FROM numbers(5)", "-f", "parquet", "-o", str(target))
    assert pyarrow.parquet.read_table(target).column("n").to_pylist() == [0, 1, 2, 3, 4]


def test_statements_come_from_arguments_files_and_standard_input(filled: Server, tmp_path: Path) -> None:
    """With parameters in each."""
    assert query(filled, "SELECT {x:UInt8} + 1 AS y", "-p", "x=4", "-f", "jsonl").stdout == '{"y":5}\n'
    assert query(filled, "-", "-f", "jsonl", text="SELECT 3 AS y").stdout == '{"y":3}\n'
    piped = subprocess.run(
        [sys.executable, "-m", "telemetry", "query", "-", "-f", "jsonl"],
        cwd=ROOT, env=of_a_process(filled), input=b"SELECT 3 AS y", capture_output=True, timeout=180, check=True,
    )  # fmt: skip
    assert (piped.stdout, piped.stderr) == (b'{"y":3}\n', b"")
    file = tmp_path / "own.sql"
    file.write_text("-- mine\nSELECT 4 AS y")
    assert query(filled, str(file), "-f", "jsonl").stdout == '{"y":4}\n'
    bundled = query(filled, str(ROOT / "queries" / "tools.sql"), "-f", "jsonl").stdout
    assert bundled == query(filled, "tools", "-f", "jsonl").stdout != ""


def test_the_questions_are_listed(server: Server) -> None:
    """One on a line, and one with its parameters, without asking the server."""
    listed = query(server, "--list", TELEMETRY_CLICKHOUSE_HTTP_PORT="1").stdout
    assert "  errors               Where do errors come from?" in listed
    assert sum(bool(line) for line in listed.splitlines()) == len(questions()) + 8 + 1
    told = query(server, "--list", "programs", TELEMETRY_CLICKHOUSE_HTTP_PORT="1").stdout
    assert "from=7 days ago      beginning of the period" in told
    assert "tool-details         OTEL_LOG_TOOL_DETAILS=1" in told
    assert "hours                the time that all of them took" in told


def test_mistakes_name_their_remedy(filled: Server) -> None:
    """On standard error, with exit code 1, and without a trace."""
    for arguments, more, message in (
        (["nope"], {}, "There is no question nope. telemetry query --list shows them all"),
        (["tools", "-p", "days=1"], {}, "it has from, to, team, user"),
        (["tools", "-p", "days"], {}, "A parameter is NAME=VALUE"),
        (["SELECT nope"], {}, "telemetry: Unknown expression identifier `nope`. DESCRIBE"),
        (["DROP TABLE otel_logs"], {}, "telemetry: Cannot execute query in readonly mode"),
        (
            ["tools"],
            {"TELEMETRY_READER_PASSWORD": "wrong"},
            "does not know telemetry_reader with this password",
        ),
        (
            ["tools"],
            {"TELEMETRY_CLICKHOUSE_HTTP_PORT": "1"},
            "start the server, or name another one with --url",
        ),
        (["tools"], {"TELEMETRY_CLICKHOUSE_HTTP_PORT": "0"}, "name its address with --url"),
        ([], {}, "Say what to ask"),
        (["tools", "-p", "from=banana"], {}, "banana is not a time from 1970 to 2105: write 2026-11-22"),
        (["nowhere.sql"], {}, "There is no file nowhere.sql."),
        (
            ["tools", "-o", "/dev/null/x"],
            {},
            "/dev/null/x cannot be used (Not a directory): name another file",
        ),
        (["tools", "-o", "/"], {}, "/ cannot be used (Is a directory): name another file"),
    ):
        error = query(filled, *arguments, code=1, **more).stderr
        assert message in error
        assert error.startswith("telemetry: ")
        assert "Traceback" not in error
        assert "Exception" not in error


def test_the_prompt_answers_until_one_leaves(filled: Server) -> None:
    """Statements over several lines, questions by name, formats, the list; an error does not end it."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "telemetry", "query"],
        cwd=ROOT,
        env={**of_a_process(filled), "TERM": "dumb"},
        stdin=child,
        stdout=child,
        stderr=child,
        close_fds=True,
    )
    os.close(child)
    os.set_blocking(parent, False)
    shown = ""

    def until(expected: str) -> None:
        nonlocal shown
        deadline = time.monotonic() + 180
        while expected not in shown:
            assert time.monotonic() < deadline, shown
            try:
                shown += os.read(parent, 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)

    until("query> ")
    for line, expected in (
        ("\\f jsonl", "query> "),
        ("SELECT 40 +", "..."),
        ("2 AS answer", '{"answer":42}'),
        ("SELECT nope;", "Unknown expression identifier `nope`"),
        ("tools", '"failure_percent"'),
        ('tools team="nobody"', "No rows: nothing of the team nobody arrived"),
        ("list", "Where do errors come from?"),
        ("list cost", "what they cost"),
        ("help", "the questions; one with its parameters"),
        ("?", "the questions; one with its parameters"),
        ("errrors", "did you mean errors"),
        ("hello", "There is no question hello"),
        ("\\f nothing", "Formats here: table, csv"),
    ):
        shown = ""
        os.write(parent, f"{line}\r".encode())
        until(expected)
    os.write(parent, b"exit;\r")
    assert process.wait(180) == 0
    os.close(parent)
