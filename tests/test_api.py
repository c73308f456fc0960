"""The REST interface of connections, in a real web process: what it stores, shows, refuses and documents."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.connector_kinds import System, system
from tests.server import NO_TLS, ROOT, eventually
from tests.web_process import ALICE, BOB, Web, environment, web

SECRET = "hunter2-upstream"
FILE = """
connections:
  - {name: for-all, backend_type: plain, config: {url: "http://127.0.0.1:9", headers: {X-Key: "${TOKEN}"}}}
  - {name: for-bob, backend_type: plain, users: [bob], config: {url: "http://127.0.0.1:9"}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[System]:
    """Run the system that connections lead to."""
    with system() as found:
        found.answer = lambda _: (200, {}, b'{"version": "1.2"}')
        yield found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Run a web process that this module's tests share."""
    folder = tmp_path_factory.mktemp("api")
    file = folder / "connections.yaml"
    file.write_text(FILE)
    more = {
        "TELEMETRY_CONNECTOR_HEALTH_SECONDS": "0.2",
        "TELEMETRY_CONNECTIONS_FILE": str(file),
        "TOKEN": SECRET,
    }
    with web(folder / "data", **more) as found:
        yield found


@pytest.fixture(autouse=True)
def _empty(here: Web) -> Iterator[None]:
    """Remove what a test added."""
    yield
    for user in (ALICE, BOB):
        for one in here.call("GET", "connections", user).json()["connections"]:
            if one["source"] == "state":
                assert here.call("DELETE", f"connections/{one['id']}", user).status_code == 204


def body(url: str, name: str = "prod", **more: Any) -> dict[str, Any]:
    config = {"url": url, "auth": {"type": "bearer", "token": SECRET}}
    return {"name": name, "backend_type": "plain", "config": config, **more}


def add(here: Web, written: dict[str, Any], user: dict[str, str] = ALICE) -> dict[str, Any]:
    answer = here.call("POST", "connections", user, json=written)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/observability/connections/{found['id']}"
    return found


def test_a_connection_is_made_read_changed_and_removed(here: Web, upstream: System) -> None:
    """AC2: several systems for each user, with every field that was written; what is gone is not found."""
    made = add(here, body(upstream.url, description="d", is_default=True, tags=["eu"]))
    shown = {
        "name": "prod", "backend_type": "plain", "description": "d", "is_enabled": True, "is_default": True,
        "tags": ["eu"], "signals": ["logs", "metrics"], "source": "state",
        "config": {"url": upstream.url, "auth": {"type": "bearer", "token": "set"}},
    }  # fmt: skip
    assert {name: made[name] for name in shown} == shown
    path = f"connections/{made['id']}"
    found = here.call("GET", path).json()
    assert {name: found[name] for name in shown} == shown
    add(here, body(upstream.url, "second"))
    listed = here.call("GET", "connections").json()
    assert [one["name"] for one in listed["connections"] if one["source"] == "state"] == ["prod", "second"]
    changed = here.call("PUT", path, json={**body(upstream.url, "other"), "is_enabled": False})
    assert (changed.status_code, changed.json()["name"], changed.json()["is_default"]) == (
        200,
        "other",
        False,
    )
    assert here.call("DELETE", path).status_code == 204
    assert [here.call(method, path).status_code for method in ("GET", "DELETE")] == [404, 404]


def test_a_credential_is_written_and_never_read(here: Web, upstream: System) -> None:
    """AC30: not in an answer, the log or a file; it stays when a change leaves it out, and is sent to the system."""
    path = f"connections/{add(here, body(upstream.url))['id']}"
    for config in ({"type": "bearer"}, {"type": "bearer", "token": "set"}):
        written = {**body(upstream.url), "config": {"url": upstream.url, "auth": config}}
        answer = here.call("PUT", path, json=written)
        assert answer.status_code == 200
        assert answer.json()["config"]["auth"] == {"type": "bearer", "token": "set"}
        upstream.headers.clear()
        assert here.call("POST", f"{path}/test").json()["health_status"] == "healthy"
        assert upstream.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    texts = [here.call("GET", path).text, here.call("GET", "connections").text, here.log.read_text()]
    assert not any(SECRET in text for text in texts)
    for file in here.data.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file.name


def test_credentials_do_not_follow_a_connection_to_another_place(here: Web, upstream: System) -> None:
    """A token that may change connections would read them there."""
    path = f"connections/{add(here, body(upstream.url))['id']}"
    elsewhere = {
        **body("http://127.0.0.1:9"),
        "config": {"url": "http://127.0.0.1:9", "auth": {"type": "bearer"}},
    }
    refused = here.call("PUT", path, json=elsewhere)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "config.auth.token")
    assert here.call("PUT", path, json=body("http://127.0.0.1:9")).status_code == 200


def test_each_user_has_connections_of_their_own(here: Web, upstream: System) -> None:
    """AC26: another user's is not found, by any method; both may use one name."""
    made = add(here, body(upstream.url))
    path = f"connections/{made['id']}"
    answers = [here.call(method, path, BOB) for method in ("GET", "DELETE")]
    answers.append(here.call("PUT", path, BOB, json=body(upstream.url)))
    answers.append(here.call("POST", f"{path}/test", BOB))
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(404, "UNKNOWN_NAME")] * 4
    assert add(here, body(upstream.url), BOB)["id"] != made["id"]
    assert here.call("GET", path).status_code == 200


def test_connections_of_the_file_are_read_and_not_changed(here: Web, upstream: System) -> None:
    """For all users or those that are named; their names are taken, and their health is checked too."""
    found = {
        user["Authorization"]: [
            one
            for one in here.call("GET", "connections", user).json()["connections"]
            if one["source"] == "file"
        ]
        for user in (ALICE, BOB)
    }
    names = [[one["name"] for one in listed] for listed in found.values()]
    assert names == [["for-all"], ["for-all", "for-bob"]]
    fixed = found[ALICE["Authorization"]][0]
    assert fixed["config"]["headers"] == {"X-Key": "set"}
    path = f"connections/{fixed['id']}"
    answers = [here.call("PUT", path, json=body(upstream.url)), here.call("DELETE", path)]
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(403, "FORBIDDEN")] * 2
    assert here.call("POST", "connections", json=body(upstream.url, "for-all")).status_code == 409
    eventually(lambda: here.call("GET", path).json()["health_status"] == "unhealthy")


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    """With the fault, and without a value."""
    file = tmp_path / "connections.yaml"
    file.write_text("connections: [{name: a, backend_type: plain, config: {url: 'hunter2', ulr: 'hunter2'}}]")
    done = subprocess.run(
        [sys.executable, "-m", "telemetry", "web"],
        cwd=ROOT,
        env=environment(tmp_path / "data", TELEMETRY_CONNECTIONS_FILE=str(file)),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, f"{file}: connection 1: config.ulr" in done.stderr) == (1, True)
    assert "hunter2" not in done.stderr


def test_without_a_token_nothing_is_answered(here: Web) -> None:
    """Nor by another name of the server, nor for a page of another origin."""
    for path in ("/api/v1/observability/connections", "/api/v1/openapi.json"):
        assert httpx.get(here.url + path, timeout=180, verify=NO_TLS).status_code == 401
    assert here.call("GET", "connections", {"Host": "evil.example"}).status_code == 421
    assert here.call("GET", "connections", {"Origin": "https://evil.example"}).status_code == 403
    forged = here.call("GET", "connections", {**BOB, "X-Telemetry-Caller": "alice"})
    assert forged.status_code == 200


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"name": "x"}, "backend_type"),
        ({"backend_type": "promethius"}, "backend_type"),
        ({"name": ""}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "telemetry"}, "name"),
        ({"is_enabled": "true"}, "is_enabled"),
        ({"more": 1}, "more"),
        ({"config": {}}, "config.url"),
        ({"config": {"url": "ftp://x"}}, "config.url"),
        ({"config": {"url": "http://user:hunter2@x"}}, "config.url"),
        ({"config": {"url": "http://x", "ulr": "hunter2"}}, "config.ulr"),
        ({"config": {"url": "http://x", "auth": {"type": "bearer"}}}, "config.auth"),
        ({"config": {"url": "http://x", "auth": {"type": "bearer", "token": "set"}}}, "config.auth.token"),
        ({"config": {"url": "http://x", "timeout_seconds": 0}}, "config.timeout_seconds"),
        ({"description": "a\0b"}, "config"),
        ({"config": {"url": "http://x", "tenant": "y" * 100_000}}, "config"),
        ({"tags": ["x"] * 51}, "tags"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_repeated(
    here: Web, written: dict[str, Any], field: str
) -> None:
    """As a Refusal, with the field; the nearest kinds for one that there is not."""
    given = {"name": "x", "backend_type": "plain", "config": {"url": "http://x"}, **written}
    if written == {"name": "x"}:
        del given["backend_type"]
    answer = here.call("POST", "connections", json=given)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), answer.text
    assert "hunter2" not in answer.text


def test_other_bodies_paths_and_methods_are_refused_in_the_same_form(here: Web) -> None:
    """With the status that HTTP has for it."""
    cases = [
        (here.call("POST", "connections", content=b"{", headers={"Content-Type": "application/json"}), 400),
        (
            here.call(
                "POST", "connections", content=b"[" * 5_000, headers={"Content-Type": "application/json"}
            ),
            400,
        ),
        (here.call("POST", "connections", content=b"x", headers={"Content-Type": "text/plain"}), 415),
        (here.call("POST", "connections", content=b"x" * (1 << 20) + b"x"), 413),
        (here.call("PATCH", "connections"), 405),
        (here.call("GET", "conections"), 404),
        (here.call("GET", "connections?limit=0"), 400),
        (here.call("GET", "connections?limit=" + "9" * 400), 400),
        (here.call("GET", "connections?cursor=x"), 400),
        (here.call("GET", "connections?lmit=1"), 400),
        (here.call("GET", "query-history/x"), 404),
        (here.call("POST", "query-history/x/run"), 404),
        (here.call("DELETE", "connections/telemetry-none"), 404),
    ]
    assert [one.status_code for one, _ in cases] == [status for _, status in cases]
    for one, _ in cases:
        assert set(one.json()) == {"error"}
        assert one.json()["error"]["code"]


def test_a_name_that_is_taken_is_a_conflict(here: Web, upstream: System) -> None:
    """Status 409."""
    add(here, body(upstream.url))
    second = add(here, body(upstream.url, "b"))
    answers = [
        here.call("POST", "connections", json=body(upstream.url)),
        here.call("PUT", f"connections/{second['id']}", json=body(upstream.url)),
    ]
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(409, "CONFLICT")] * 2


def test_connections_are_listed_page_by_page(here: Web, upstream: System) -> None:
    """AC28: each once, with the number of all; a cursor is its caller's alone."""
    for number in range(5):
        add(here, body(upstream.url, f"c{number}"))
    names: list[str] = []
    cursor = ""
    while True:
        page = here.call("GET", f"connections?limit=2{cursor}").json()
        names += [one["name"] for one in page["connections"] if one["source"] == "state"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == [f"c{number}" for number in range(5)]
    assert page["next_cursor"] is None
    assert here.call("GET", f"connections?limit=2{cursor}", BOB).status_code == 403


def test_health_is_checked_on_demand_and_on_a_schedule(here: Web, upstream: System) -> None:
    """healthy, degraded and unhealthy, with the reason; what was found is kept with the connection."""
    made = add(here, body(upstream.url))
    path = f"connections/{made['id']}"
    assert (made["health_status"], made["last_health_check_at"]) == ("unknown", None)
    report = here.call("POST", f"{path}/test").json()
    assert (report["health_status"], report["version"], report["health_error"]) == ("healthy", "1.2", "")
    before = upstream.answer
    try:
        upstream.answer = lambda _: (500, {}, b"{}")
        eventually(lambda: here.call("GET", path).json()["health_status"] == "degraded")
        upstream.answer = lambda _: (401, {}, b"jane.doe@corp.example")
        eventually(lambda: here.call("GET", path).json()["health_status"] == "unhealthy")
    finally:
        upstream.answer = before
    eventually(lambda: here.call("GET", path).json()["health_status"] == "healthy")
    gone = add(here, body("http://127.0.0.1:9", "gone"))
    report = here.call("POST", f"connections/{gone['id']}/test").json()
    assert report["health_status"] == "unhealthy"
    assert "check that it runs" in report["health_error"]
    link_local = add(here, body("http://169.254.169.254/latest", "metadata"))
    assert (
        "metadata service" in here.call("POST", f"connections/{link_local['id']}/test").json()["health_error"]
    )


def test_the_kinds_are_listed_and_a_broken_one_is_left_out(here: Web) -> None:
    """The one that this suite installs, with its fields; the one that cannot be loaded is in the log, by its error."""
    found = {one["backend_type"]: one for one in here.call("GET", "backends").json()["backends"]}
    assert found["plain"]["signals"] == ["logs", "metrics"]
    assert "url" in found["plain"]["config_schema"]["properties"]
    assert '"name": "x", "error": "ModuleNotFoundError"' in here.log.read_text().replace("'", '"')


def test_the_command_line_works_on_the_same_state(here: Web, upstream: System) -> None:
    """While the web process runs; the command line's user is the owner, not alice."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "telemetry", "connections", *arguments],
            cwd=ROOT,
            env={**here.environment, "TOKEN": SECRET},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    add(here, body(upstream.url))
    done = run(
        "add", "cli", "plain", "--url", upstream.url, "--auth", "bearer", "--secret-env", "auth.token=TOKEN"
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(run("list", "--json").stdout)
    assert [one["name"] for one in listed if one["source"] == "state"] == ["cli"]
    assert run("remove", "cli").returncode == 0
