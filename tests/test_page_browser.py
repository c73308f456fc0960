"""The page in a real browser, Debian's Chromium: the ways that people take, on a phone and on a wide screen.

Where Chromium or Playwright is not installed these are skipped; with CI=true they fail.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from tests.mcp_clients import filled, kept, url
from tests.server import NO_TLS, Server

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        (CHROMIUM is None or find_spec("playwright") is None) and os.environ.get("CI") != "true",
        reason="Chromium or Playwright is not installed",
    ),
]
EVIL = "<img src=x onerror=alert(1)>{{7*7}}"
LONG = "5e55104e-0000-4000-8000-000000000000"
VIEWS = [
    "/",
    "/sessions",
    f"/session?id={LONG}",
    "/traces",
    "/errors",
    "/cost",
    "/tools",
    "/people",
    "/data",
    "/tail",
    "/ask",
    "/ask/cost_by",
    "/sql",
    "/connections",
    "/connections/edit?kind=jaeger",
    "/forget",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with some sessions, one of 5,000 events, and one of hostile names."""
    with filled(tmp_path_factory.mktemp("page") / "data") as server:
        begin = time.time_ns() - 3_600_000_000_000
        records = [record("user_prompt", begin, LONG)]
        records += [
            record("tool_result", begin + number * 10**8, LONG, tool_name="Read") for number in range(5_200)
        ]
        send(server, records)
        failed = {"tool_name": EVIL, "success": "false", "error": EVIL}
        send(server, [record("tool_result", begin + at, EVIL, **failed) for at in range(3)])
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start the browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  not everywhere

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(server: Server, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open tabs that are logged in by the printed link; what a page logs as an error fails the test."""
    opened, wrong = [], []

    def new(**how: Any) -> Any:
        context = chromium.new_context(base_url=url(server, ""), **how)
        opened.append(context)
        context.set_default_timeout(90_000)  # machines are shared
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda request: (
                wrong.append(request.url) if not request.url.startswith(url(server, "")) else None
            ),
        )
        page.goto(f"/login?token={kept(server, 'TELEMETRY_WEB_TOKEN')}")
        return page

    yield new
    for context in opened:
        context.close()
    assert wrong == []


def follow(page: Any, link: Any, key: str = "") -> None:
    """Go where a link or a button leads, by a click or a key, and wait until the whole view is there.

    Views are streamed: a click alone returns when the first piece of the next one is there.
    """
    with page.expect_navigation(wait_until="load"):
        if key:
            link.press(key)
        else:
            link.click()
    page.wait_for_load_state("load")


def has(found: Any, count: int) -> None:
    """Wait until so many elements are there."""
    from playwright.sync_api import expect  # noqa: PLC0415  not everywhere

    expect(found).to_have_count(count, timeout=90_000)


def record(name: str, at: int, session: str, **attributes: str) -> dict[str, Any]:
    """Return an event of Claude Code's as OTLP's JSON."""
    # Of one of the demo's teams, whose records are left out beside those of others.
    named = {"event.name": name, "session.id": session, "user.id": "someone", "team.id": "demo-kraken"}
    values = {**named, **attributes}
    return {
        "timeUnixNano": str(at),
        "body": {"stringValue": f"claude_code.{name}"},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in values.items()],
    }


def send(server: Server, records: list[dict[str, Any]]) -> None:
    """Send events to the server."""
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": records}
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    answer = httpx.post(
        f"http://{server.listening['otlp_http']}/v1/logs",
        json={"resourceLogs": [{"resource": service, "scopeLogs": [scope]}]},
        verify=NO_TLS,
        timeout=60,
    )
    assert answer.status_code == 200


def send_spans(server: Server, count: int) -> None:
    """Send one trace of so many spans, a tree of three levels with hostile names."""
    begin = time.time_ns() - 600_000_000_000

    def span(number: int) -> dict[str, Any]:
        parent = "" if number == 0 else f"{1 if number <= 100 else 1 + number % 100 + 1:016x}"
        return {
            "traceId": "7" * 32, "spanId": f"{number + 1:016x}", "parentSpanId": parent, "name": EVIL,
            "startTimeUnixNano": str(begin + number * 1_000_000),
            "endTimeUnixNano": str(begin + count * 1_000_000 + 5_000_000), "kind": 1,
            "attributes": [{"key": "tool_name", "value": {"stringValue": EVIL}}],
        }  # fmt: skip

    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "long"}}]}
    scope = {"scope": {"name": "x"}, "spans": [span(number) for number in range(count)]}
    answer = httpx.post(
        f"http://{server.listening['otlp_http']}/v1/traces",
        json={"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]},
        verify=NO_TLS,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


def test_from_the_overview_to_a_failure_by_keyboard(tab: Callable[..., Any]) -> None:
    """Tab and Enter are enough: to the sessions, to one of them, and to what failed in it."""
    page = tab()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    follow(page, page.get_by_role("link", name="Sessions", exact=True), "Enter")
    follow(page, page.get_by_role("link", name="failures"), "Enter")
    follow(page, page.get_by_role("region", name="Sessions").get_by_role("link").first, "Enter")
    page.get_by_role("heading", name="Session").wait_for()
    page.get_by_role("link", name="First failure").press("Enter")
    page.wait_for_url(re.compile("#step-"))
    page.locator(".step.failed").first.wait_for()


def test_what_arrives_is_shown_by_itself(server: Server, tab: Callable[..., Any]) -> None:
    """Live events, the figures of the overview, each time, and a session that runs; without a reload."""
    send(server, [record("user_prompt", time.time_ns(), "live")])
    tail, overview, session = tab(), tab(), tab()
    tail.goto("/tail")
    tail.get_by_text("The latest tool calls").wait_for()
    calls = overview.locator("#now .measures div", has=overview.get_by_text("Tool calls", exact=True))
    session.goto("/session?id=live")
    turns = session.locator("details", has=session.get_by_text("1 turns"))
    turns.locator("summary").click()
    for name in ("JustNow", "AndAgain"):
        before = int(calls.locator("dd").first.inner_text().replace(",", ""))
        send(server, [record("tool_result", time.time_ns(), "live", tool_name=name)])
        tail.get_by_text(name).first.wait_for(timeout=60_000)
        calls.get_by_text(f"{before + 1:,}", exact=True).wait_for(timeout=60_000)
        session.locator(".step").get_by_text(name).first.wait_for(timeout=60_000)
        assert turns.get_attribute("open") is not None


def test_what_to_fix_is_fetched_when_the_overview_is_open(tab: Callable[..., Any]) -> None:
    """Its questions are many, and the page does not wait for them."""
    page = tab()
    page.get_by_text("A week of them shows what is usual; before, less is found.").wait_for()


def test_tables_are_sorted_by_their_numbers(tab: Callable[..., Any]) -> None:
    """By a button in the heading, the largest first, and then the smallest."""
    page = tab()
    page.goto("/tools")
    region = page.get_by_role("region", name="Tools", exact=True)

    def calls() -> list[float]:
        return [
            float(cell.replace(",", "")) for cell in region.locator("tbody td:nth-child(2)").all_inner_texts()
        ]

    button = region.get_by_role("button", name="calls")
    button.click()
    assert calls() == sorted(calls(), reverse=True)
    button.click()
    assert calls() == sorted(calls())
    assert len(set(calls())) > 1


def test_hostile_names_are_text(tab: Callable[..., Any]) -> None:
    """A tool, a session and an error that are markup are shown as they were sent, and run nothing."""
    page = tab()
    page.goto("/errors")
    page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
    page.goto("/sessions")
    has(page.locator("img"), 0)
    follow(page, page.get_by_role("region", name="Sessions").get_by_role("link", name="<img src").first)
    page.get_by_role("heading", name="Session").wait_for()
    has(page.locator("img"), 0)
    assert "{{7*7}}" in page.content()


def test_a_session_of_five_thousand_events_is_read(tab: Callable[..., Any]) -> None:
    """In parts, with a picture of the whole whose turns lead to their parts, and within the page's width."""
    page = tab()
    page.goto(f"/session?id={LONG}")
    page.get_by_text("Steps 1 to 1,000 of 5,201").first.wait_for()
    has(page.locator(".step"), 1_000)
    page.locator("svg.timeline").wait_for()
    follow(page, page.get_by_role("link", name="Further steps").first)
    page.get_by_text("Steps 1,001 to 2,000").first.wait_for()
    page.get_by_role("heading", name="Turn 1, continued").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_trace_of_ten_thousand_spans_is_read(server: Server, tab: Callable[..., Any]) -> None:
    """In parts, from the list of traces, with hostile names as text."""
    send_spans(server, 10_000)
    page = tab()
    page.goto("/traces?service=long")
    follow(page, page.get_by_role("region", name="Traces").get_by_role("link").first)
    page.get_by_role("heading", name="Trace").wait_for()
    page.get_by_text("10,000 spans").wait_for()
    has(page.locator(".waterfall tbody tr"), 1_000)
    has(page.locator("img"), 0)
    follow(page, page.get_by_role("link", name="Further spans"))
    page.get_by_role("link", name="Spans before").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1_280, 1_080])
def test_tables_are_whole(tab: Callable[..., Any], width: int) -> None:
    """None of a view's own tables has to be moved sideways to be read, however wide a machine's fonts are."""
    page = tab(viewport={"width": width, "height": 900})
    # Each table is fitted in the frame after its size is known; the wait ends at once where nothing is cut.
    wide = """() => [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
        .map(one => one.getAttribute('aria-label'))"""
    cut = {}
    for view in ("/", "/sessions", "/errors", "/cost", "/tools", "/mcp-servers", "/people", "/security"):
        page.goto(view)
        assert page.locator("table").count() > 0
        for _ in range(20):
            if not (found := page.evaluate(wide)):
                break
            page.wait_for_timeout(250)
        else:
            cut[view] = found
    assert cut == {}


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (2_560, "dark")])
def test_views_fit_and_have_no_serious_fault(tab: Callable[..., Any], width: int, scheme: str) -> None:
    """Nothing is wider than the screen, and axe finds no serious fault for people who use a screen reader."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415  not everywhere

    page = tab(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=True,
    )
    for view in VIEWS:
        page.goto(view)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        found = Axe().run(page).response["violations"]
        assert [
            (view, one["id"], one["nodes"][0]["html"])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ] == []


def test_the_page_is_read_without_scripts(tab: Callable[..., Any]) -> None:
    """All but renewing and sorting."""
    page = tab(java_script_enabled=False)
    page.get_by_role("heading", name="What is going on").wait_for()
    follow(page, page.get_by_role("link", name="Show what stands out in this period"))
    page.get_by_text("days with events before this period").first.wait_for()
    page.goto("/cost")
    page.locator("svg.chart").first.wait_for()
    page.get_by_label("Period").select_option("24h")
    follow(page, page.get_by_role("button", name="Show"))
    page.wait_for_url(re.compile("period=24h"))


def test_a_view_is_printed_whole(tab: Callable[..., Any]) -> None:
    """Without its forms and menus, and with the period that it is of; no column is cut off."""
    page = tab()
    page.set_viewport_size({"width": 720, "height": 1_000})
    for view in ("/", "/cost", "/errors", "/sessions", "/report"):
        page.goto(view)
        page.emulate_media(media="print")
        has(page.locator("form:visible"), 0)
        edges = "[...document.querySelectorAll('table')].map(table => table.getBoundingClientRect().right)"
        assert max(page.evaluate(edges)) <= 721, view
        assert view == "/report" or page.locator(".printed").is_visible()
        page.emulate_media(media="screen")


def test_logging_out_ends_it(tab: Callable[..., Any]) -> None:
    """The next view asks for a token again."""
    page = tab()
    follow(page, page.get_by_role("button", name="Log out"))
    page.get_by_role("heading", name="Log in").wait_for()
    page.goto("/sessions")
    assert "/login" in page.url
