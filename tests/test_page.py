"""The page over HTTP: who gets in, what each view answers, that numbers are the library's, and who sees what."""

import csv
import gzip
import html
import io
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from access.questions import names
from tests.mcp_clients import filled, kept, url, wait_for_web
from tests.server import NO_TLS, Server, running
from web.login import SECONDS, cookie, holder
from web.page.views import VIEWS

HTML = {"Accept": "text/html,application/xhtml+xml"}
PATHS = [
    "/",
    "/part/now",
    "/part/fix",
    "/sessions",
    "/tail",
    "/ask",
    "/sql",
    "/connections",
    "/connections/edit?kind=prometheus",
    "/traces",
    "/forget",
    *(f"/{path}" for path in VIEWS),
]
MINE, LEAD, ALL = (secrets.token_urlsafe(24) for _ in range(3))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with some sessions, whose page these tests share; two of its tokens see a part of the data."""
    tokens = f"mine:{MINE},lead:{LEAD},all:{ALL}"
    roles = "mine:user:the one of these tests,lead:team:demo-kraken"
    data = tmp_path_factory.mktemp("page") / "data"
    with filled(data, TELEMETRY_WEB_TOKENS=tokens, TELEMETRY_WEB_ROLES=roles) as server:
        yield server


@contextmanager
def browser(server: Server, token: str = "") -> Iterator[httpx.Client]:
    """Yield a client that keeps cookies and asks as a browser does; logged in with the token, if one is given."""
    base = url(server, "")
    with httpx.Client(base_url=base, headers=HTML, verify=NO_TLS, timeout=180, trust_env=False) as client:
        if token:
            answer = client.get("/login", params={"token": token})
            assert answer.status_code == 303, answer.text
        yield client


@pytest.fixture(scope="module")
def person(server: Server) -> Iterator[httpx.Client]:
    """Log in with the generated token."""
    with browser(server, kept(server, "TELEMETRY_WEB_TOKEN")) as client:
        yield client


def key_of(page: str) -> str:
    """Return what a view's forms hold."""
    found = re.search(r'name="key" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def test_who_is_not_logged_in_is_sent_to_the_log_in_and_back(server: Server) -> None:
    """The address that was wanted is kept; nothing of the data is in the answer."""
    with browser(server) as client:
        answer = client.get("/sessions", params={"team": "a&b"})
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            "/login?next=%2Fsessions%3Fteam%3Da%2526b",
        )
        assert client.get("/sessions", headers={"Accept": "application/json"}).status_code == 401
        form = client.get(answer.headers["location"])
        assert form.status_code == 200
        assert "Sessions" not in form.text
        token = kept(server, "TELEMETRY_WEB_TOKEN")
        back = client.post(answer.headers["location"], data={"token": token})
        assert (back.status_code, back.headers["location"]) == (303, "/sessions?team=a%26b")
        assert client.get("/sessions").status_code == 200


def test_the_cookie_is_no_token_and_no_script_or_other_site_gets_it(server: Server) -> None:
    """Who reads the cookie file learns nothing that MCP or REST accept."""
    token = kept(server, "TELEMETRY_WEB_TOKEN")
    with browser(server) as client:
        answer = client.get("/login", params={"token": token})
        said = answer.headers["set-cookie"]
        assert token not in said
        assert "HttpOnly" in said
        assert "SameSite=strict" in said
        assert answer.headers["referrer-policy"] == "same-origin"
        for path in ("/mcp", "/api/v1/observability/connections", "/prometheus/api/v1/labels"):
            assert client.post(path, json={}).status_code == 401, path


@pytest.mark.parametrize("wrong", ["x", "", "owner", "ü"])
def test_a_wrong_token_lets_no_one_in(server: Server, wrong: str) -> None:
    """It is refused in words, without a cookie."""
    with browser(server) as client:
        answer = client.get("/login", params={"token": wrong})
        assert answer.status_code == (403 if wrong else 200)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "onward", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"]
)
def test_the_log_in_leads_nowhere_else(server: Server, onward: str) -> None:
    """An address of another site in the link is not followed."""
    with browser(server) as client:
        answer = client.get("/login", params={"token": kept(server, "TELEMETRY_WEB_TOKEN"), "next": onward})
        assert answer.headers["location"] == "/"


def test_a_cookie_ends_with_its_time_and_with_its_token() -> None:
    """A cookie that was changed, has run out, or whose token is gone says nothing."""
    name, value = cookie("ann", "token", now=1_000)
    known = [("bob", "other"), ("ann", "token")]
    assert holder({name: value}, known, now=1_001) == "ann"
    assert holder({name: value}, known, now=1_000 + SECONDS) is None
    assert holder({name: value}, known[:1], now=1_001) is None
    assert holder({name: value.replace(".", "9.", 1)}, known, now=1_001) is None
    assert holder({name: "."}, known, now=1_001) is None


@pytest.mark.parametrize("path", PATHS)
def test_each_view_is_answered_safely_and_is_small(person: httpx.Client, path: str) -> None:
    """Nothing is loaded from elsewhere or run from the page itself, and it is under 100 KB with its scripts."""
    answer = person.get(path)
    assert answer.status_code == 200, answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.findall(
        r"<script(?! src=)|\sstyle=|\son\w+=|https?://(?!demo)", answer.text.partition("<main")[0]
    )
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
    size = len(gzip.compress(answer.content)) + sum(
        int(person.get(file).headers["content-length"]) for file in files
    )
    assert size < 100_000


@pytest.mark.parametrize("name", names())
def test_every_question_has_a_form_and_a_file(person: httpx.Client, name: str) -> None:
    """Its SQL is shown, and CSV has the columns of the question."""
    page = person.get(f"/ask/{name}")
    assert page.status_code == 200
    assert "<summary>SQL</summary>" in page.text
    answer = person.get(f"/ask/{name}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert next(csv.reader(io.StringIO(answer.text)))


def test_numbers_are_those_of_the_library(server: Server, person: httpx.Client) -> None:
    """What models cost, as the page's file has it, is what the tables say."""
    rows = list(
        csv.DictReader(
            io.StringIO(person.get("/ask/cost_by.csv", params={"by": "model", "period": "30d"}).text)
        )
    )
    said = sum(float(row["usd"] or 0) for row in rows)
    password = kept(server, "TELEMETRY_READER_PASSWORD")
    known = httpx.get(
        f"http://{server.listening['clickhouse_http']}/",
        params={"query": "SELECT sum(cost_usd) FROM telemetry_events WHERE event_type = 'api_request'"},
        auth=("telemetry_reader", password),
        verify=NO_TLS,
        timeout=180,
    )
    assert known.status_code == 200, (known.text, known.headers)
    assert said == pytest.approx(float(known.text), abs=0.01)
    assert said > 0


def test_a_session_is_replayed_and_leads_to_its_trace(person: httpx.Client) -> None:
    """From the list to the turns of a session, and from there to the spans of one."""
    found = re.search(r'href="(/session\?id=[^"]+)"', person.get("/sessions?order=usd").text)
    assert found
    session = person.get(found[1]).text
    assert "Turn 1" in session
    assert "so far" in session
    traces = person.get("/traces", params={"session": re.sub(r".*id=", "", found[1])})
    # A session has traces of other kinds too.
    one = r'href="(/trace\?id=[0-9a-f]{32}[^"]*)"(?:(?!</tr>).)*claude_code\.interaction'
    trace = re.search(one, traces.text, re.DOTALL)
    assert trace
    spans = person.get(html.unescape(trace[1]))
    assert spans.status_code == 200
    assert "claude_code.interaction" in spans.text
    assert "its session" in spans.text
    lines = person.get("/part/trace-logs", params={"id": re.findall(r"[0-9a-f]{32}", trace[1])[0]})
    assert "claude_code.user_prompt" in lines.text


@pytest.mark.parametrize(
    "path", ["/session?id=none", "/trace?id=zz", "/trace?id=ab", "/ask/nothing", "/errors?start=never"]
)
def test_what_there_is_not_is_said_on_a_page(person: httpx.Client, path: str) -> None:
    """A wrong address gets words, not an error of the server."""
    answer = person.get(path)
    assert answer.status_code < 500
    assert 'class="refused"' in answer.text


def test_a_view_in_parts_is_whole_in_gzip_and_no_address_names_a_part(person: httpx.Client) -> None:
    """Each part is there once, whatever an address says."""
    path = "/cost?period=30d&team=<panel-0>"
    with person.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    whole = gzip.decompress(sent).decode()
    assert whole == person.get(path, headers={"Accept-Encoding": "identity"}).text
    assert whole.count("By model") == 1
    assert whole.rstrip().endswith("</html>")
    assert "panel-0" not in whole.replace("&lt;panel-0&gt;", "").replace("%3Cpanel-0%3E", "")


def test_a_view_is_narrowed_by_project_and_model(person: httpx.Client) -> None:
    """Sums are smaller, of what the values say, and a panel that cannot be narrowed says so."""

    def spent(path: str) -> dict[str, float]:
        rows = csv.DictReader(io.StringIO(person.get(path).text))
        return {row["value"]: float(row["usd"] or 0) for row in rows}

    projects = spent("/ask/cost_by.csv?period=30d&by=project&limit=100")
    project = max(projects, key=projects.__getitem__)
    of_one = spent(f"/ask/cost_by.csv?period=30d&by=model&limit=100&project={project}")
    assert sum(of_one.values()) == pytest.approx(projects[project], abs=0.01)
    model = max(of_one, key=of_one.__getitem__)
    both = spent(f"/ask/cost_by.csv?period=30d&by=project&limit=100&project={project}&model={model}")
    assert both == {project: pytest.approx(of_one[model], abs=0.01)}
    page = person.get("/tools", params={"model": model, "period": "30d"}).text
    assert "Not narrowed by model." in page
    assert f'<option value="{model}">' in page
    assert "Not narrowed" not in person.get("/cost", params={"project": project}).text


def test_a_session_is_exported_whole_for_those_who_see_it(server: Server, person: httpx.Client) -> None:
    """What it was, its prompts, and each of its events, as lines of JSON; another's is not there."""
    found = re.search(r'href="/session\?id=([^"]+)"', person.get("/sessions?order=usd&period=30d").text)
    assert found
    answer = person.get("/session.jsonl", params={"id": found[1]})
    assert "attachment" in answer.headers["content-disposition"]
    first, *rest = [json.loads(line) for line in answer.text.splitlines()]
    assert first["session"]["session_id"] == found[1]
    events = [one for one in rest if "event_type" in one]
    kinds = [one["event_type"] for one in events]
    assert kinds.count("api_request") == first["session"]["requests"]
    assert kinds.count("tool_result") == first["session"]["tool_calls"]
    with browser(server, MINE) as mine:
        assert mine.get("/session.jsonl", params={"id": found[1]}).status_code == 404
        assert mine.get("/traces", params={"session": found[1]}).status_code == 404
        assert mine.get("/traces").status_code == 403


def test_only_the_owner_may_forget_and_sees_first_what_would_go(server: Server, person: httpx.Client) -> None:
    """What goes is counted by the same command as at the command line; a token to read is no right to delete."""
    found = re.search(r'href="/session\?id=([^"]+)"', person.get("/sessions?order=failures&period=30d").text)
    assert found
    form = person.get("/forget", params={"session": found[1]}).text
    assert f'value="{found[1]}"' in form
    asked = {"kind": "session", "value": found[1]}
    assert person.post("/forget/count", data=asked).status_code == 403
    counted = person.post("/forget/count", data={**asked, "key": key_of(form)}, timeout=120)
    assert re.search(r"telemetry_events +\d+", counted.text), counted.text
    assert re.search(r"together +\d+", counted.text)
    unsure = person.post("/forget/erase", data={**asked, "key": key_of(form)})
    assert "Nothing was deleted" in unsure.text
    wrong = person.post("/forget/count", data={"kind": "session", "value": "--yes", "key": key_of(form)})
    assert wrong.status_code == 400
    assert person.get("/session", params={"id": found[1]}).status_code == 200
    for token in (ALL, LEAD):
        with browser(server, token) as other:
            assert other.get("/forget").status_code == 403
            key = key_of(other.get("/ask").text)
            for path in ("/forget/count", "/forget/erase"):
                assert other.post(path, data={**asked, "sure": "1", "key": key}).status_code == 403
            assert "Forget" not in other.get("/session", params={"id": found[1]}).text


def test_the_data_view_says_what_is_kept_and_what_the_rules_did(person: httpx.Client) -> None:
    """Each table with its rows and days, and where something was hashed or redacted."""
    page = person.get("/data?period=30d").text
    assert re.search(r"telemetry_events</td>.*?90 days", page, re.DOTALL)
    assert "hashed" in page
    assert "/forget" in page


def test_a_form_of_another_page_is_refused(person: httpx.Client) -> None:
    """Without the form's key nothing is asked; with it, the statement's rows are shown, escaped."""
    sql = "SELECT '<script>alert(1)</script>' AS a"
    assert person.post("/sql", data={"sql": sql}).status_code == 403
    key = key_of(person.get("/sql").text)
    answer = person.post("/sql", data={"sql": sql, "key": key})
    assert answer.status_code == 200
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script>alert" not in answer.text
    evil = person.post("/sql", data={"sql": sql, "key": key}, headers={"Origin": "http://evil.example"})
    assert evil.status_code == 403


def test_a_link_from_elsewhere_is_followed_and_tells_the_other_page_nothing(server: Server) -> None:
    """A browser keeps the cookie back at first, so it is made to ask again as the page itself does."""
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with browser(server, kept(server, "TELEMETRY_WEB_TOKEN")) as client:
        answer = client.get('/sessions?team="><script>', headers=followed)
        assert answer.status_code == 200
        assert 'content="0; url=/sessions?team=' in answer.text
        assert "<script" not in answer.text
        assert "demo-" not in answer.text
        for more in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Mode": "cors"}):
            assert client.get("/sessions", headers={**followed, **more}).status_code == 403
        assert client.get("/api/v1/openapi.json", headers=followed).status_code == 403


def test_a_connection_is_tested_from_its_list(person: httpx.Client) -> None:
    """The store itself is one, and healthy."""
    page = person.get("/connections").text
    found = re.search(r'name="id" value="([^"]+)"', page)
    assert found
    answer = person.post("/connections/test", data={"id": found[1], "key": key_of(page)})
    assert answer.status_code == 200
    assert "telemetry: healthy" in answer.text


def test_who_sees_a_part_sees_no_more(server: Server, person: httpx.Client) -> None:
    """Not by another's address, not by a parameter, not in a question without the filter, and not over MCP or REST."""
    everyone = person.get("/sessions?period=30d").text
    with browser(server, LEAD) as lead, browser(server, MINE) as mine:
        mine_of_team = lead.get("/sessions?period=30d&team=demo-golem").text
        ids = set(re.findall(r"/session\?id=([0-9a-f-]+)", everyone))
        seen = set(re.findall(r"/session\?id=([0-9a-f-]+)", mine_of_team))
        assert seen < ids
        assert set(re.findall(r'team=([\w-]+)">', mine_of_team)) <= {"demo-kraken"}
        others = ids - seen
        assert others
        for session in others:
            answer = lead.get("/session", params={"id": session})
            assert answer.status_code == 404
        for session in list(seen)[:1]:
            assert lead.get("/session", params={"id": session}).status_code == 200
        assert "/session?id=" not in mine.get("/sessions?period=30d").text
        # What viewers share is shared among those who see the same, in any order.
        asked = [who.get("/part/now?period=30d").text for who in (person, lead, person, lead)]
        counts = [int(re.findall(r"<dt>Sessions</dt><dd>(\d+)", text)[0]) for text in asked]
        assert counts[0] == counts[2] > counts[1] == counts[3]
        for path in ("/tail", "/sql", "/connections"):
            assert lead.get(path).status_code == 403, path
        assert lead.get("/ask/session.csv", params={"session": next(iter(others))}).status_code == 403
        refused = lead.get("/ask/trace").text
        assert "for those who see all data" in refused
    for path in ("/mcp", "/api/v1/observability/connections", "/prometheus/api/v1/labels"):
        bearer = {"Authorization": f"Bearer {LEAD}"}
        assert (
            httpx.post(url(server, path), headers=bearer, json={}, verify=NO_TLS, timeout=180).status_code
            == 403
        ), path


def test_the_page_of_an_empty_store_says_how_to_get_data(tmp_path: Path) -> None:
    """The first visit: no zeros that look like data, but what to do."""
    with running(tmp_path / "data", TELEMETRY_WEB_PORT="0") as server:
        wait_for_web(server)
        with browser(server, kept(server, "TELEMETRY_WEB_TOKEN")) as client:
            page = client.get("/").text
            assert "No telemetry has arrived yet" in page
            assert all(f"telemetry {way}" in page for way in ("setup", "import", "demo"))
            assert client.get("/data").status_code == 200
            sessions = client.get("/sessions").text
            assert "No rows: no telemetry has arrived yet" in sessions
            assert "Nothing." not in sessions
