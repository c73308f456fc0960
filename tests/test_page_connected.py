"""The page over connected systems, and while its own store is away: connections as forms, and Jaeger's traces."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.registry import Registry
from tests.connectors import shop
from tests.connectors.replay import Exchanges, replaying
from tests.server import NO_TLS
from tests.web_process import Web, web
from web.page.connection_form import fields, values_of
from web.page.views import VIEWS

RECORDED = Path(__file__).parent / "data" / "backends" / "jaeger"
SECRET = "hunter2-of-jaeger"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Run a web process whose store does not answer."""
    with web(tmp_path_factory.mktemp("page") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def jaeger() -> Iterator[str]:
    """Serve recorded answers of a real Jaeger."""
    with replaying(Exchanges.load(RECORDED)) as url:
        yield url


@contextmanager
def logged_in(running: Web, token: str) -> Iterator[httpx.Client]:
    """Yield a browser that is logged in."""
    with httpx.Client(
        base_url=running.url, headers=HTML, verify=NO_TLS, timeout=180, trust_env=False
    ) as client:
        assert client.get("/login", params={"token": token}).status_code == 303
        yield client


@pytest.fixture(scope="module")
def alice(alone: Web) -> Iterator[httpx.Client]:
    """Log in as one person."""
    with logged_in(alone, "hunter2-alice") as client:
        yield client


def key_of(page: str) -> str:
    """Return what a view's forms hold."""
    found = re.search(r'name="key" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def sent(client: httpx.Client, path: str, **form: str) -> httpx.Response:
    """Send a form of the connections' views."""
    return client.post(path, data={"key": key_of(client.get("/connections").text), **form})


def id_of(page: str, name: str) -> str:
    """Return the id of a connection in the list."""
    found = re.search(rf'<tr><td>{name}\b.*?name="id" value="([^"]+)"', page, re.DOTALL)
    assert found, page
    return found[1]


@pytest.mark.parametrize("path", ["/", "/sessions", "/session?id=a", "/traces", "/tail", "/part/fix", *VIEWS])
def test_a_store_that_is_away_is_said_and_breaks_no_view(alice: httpx.Client, path: str) -> None:
    """In words, with the ways to other views, and never as an error of the page."""
    answer = alice.get(path if path.startswith("/") else f"/{path}")
    assert answer.status_code in {200, 503}, answer.text
    assert 'class="refused"' in answer.text
    assert "Nothing answers at http://127.0.0.1:9" in answer.text, answer.text
    assert 'href="/connections"' in answer.text


def test_a_connection_is_added_changed_and_removed(alone: Web, alice: httpx.Client, jaeger: str) -> None:
    """Its credential is sent to no browser again, stays when its field is left empty, and is no one else's."""
    form = {
        "kind": "jaeger", "name": "ours", "config.url": jaeger, "config.auth.type": "bearer",
        "config.auth.token": SECRET, "config.headers": "X-Tenant: hunter2-header", "is_enabled": "1",
    }  # fmt: skip
    added = sent(alice, "/connections/edit", **form)
    assert "ours: healthy" in added.text, added.text
    ours = id_of(added.text, "ours")
    shown = alice.get("/connections/edit", params={"id": ours}).text
    assert "set; empty: as it is" in shown
    assert "X-Tenant: set" in shown
    changed = sent(
        alice,
        "/connections/edit",
        **{**form, "id": ours, "name": "theirs", "config.auth.token": "", "config.headers": "X-Tenant: set"},
    )
    assert "theirs: healthy" in changed.text, changed.text
    # To another place the credentials do not go along.
    elsewhere = sent(
        alice,
        "/connections/edit",
        **{**form, "id": ours, "config.url": "http://127.0.0.1:9", "config.auth.token": ""},
    )
    assert elsewhere.status_code == 400
    assert "send its credentials again" in elsewhere.text
    assert "hunter2" not in f"{added.text}{shown}{changed.text}"
    with logged_in(alone, "hunter2-bob") as bob:
        assert "theirs" not in bob.get("/connections").text
        assert bob.get("/connections/edit", params={"id": ours}).status_code == 404
        assert sent(bob, "/connections/remove", id=ours).status_code == 404
    assert alice.post("/connections/edit", data={**form, "name": "forged"}).status_code == 403
    assert alice.post("/connections/remove", data={"id": ours}).status_code == 403
    removed = sent(alice, "/connections/remove", id=ours)
    assert "is removed" in removed.text
    assert "forged" not in removed.text
    assert sent(alice, "/connections/test", id=ours).status_code == 404


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"kind": "jaeger", "name": "x", "config.url": "file:///etc/passwd"}, "config.url"),
        ({"kind": "jaeger", "name": "", "config.url": "http://127.0.0.1:9"}, "name"),
        ({"kind": "jaeger", "name": "telemetry", "config.url": "http://127.0.0.1:9"}, "choose another"),
        ({"kind": "jaeger", "name": "x", "config.url": "http://127.0.0.1:9", "config.headers": "none"}, "a colon"),
        (
            {"kind": "jaeger", "name": "x", "config.url": "http://127.0.0.1:9", "config.timeout_seconds": "soon"},
            "config.timeout_seconds",
        ),
    ],
)  # fmt: skip
def test_a_wrong_form_is_shown_again_with_what_is_wrong(
    alice: httpx.Client, form: dict[str, str], said: str
) -> None:
    """And with what was typed; nothing is added."""
    answer = sent(alice, "/connections/edit", **{"config.headers": "X: hunter2-typed", **form})
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
    assert said in re.sub(r"<[^>]+>", "", answer.text)
    assert id_of(alice.get("/connections").text, "telemetry")


def test_the_traces_of_a_jaeger_are_found_and_drawn(alice: httpx.Client, jaeger: str) -> None:
    """Found by service, opened as a waterfall, with words about logs that cannot be had."""
    sent(
        alice, "/connections/edit", kind="jaeger", name="jaeger", **{"config.url": jaeger, "is_enabled": "1"}
    )
    found = alice.get(
        "/traces",
        params={
            "connection": "jaeger",
            "service": "shop",
            "start": "2026-01-01T12:00:00Z",
            "end": "2026-01-01T13:00:00Z",
        },
    )
    assert found.status_code == 200
    assert f'href="/trace?id={shop.FAILED}&amp;connection=jaeger"' in found.text, found.text
    drawn = alice.get("/trace", params={"id": shop.FAILED, "connection": "jaeger"})
    assert drawn.status_code == 200, drawn.text
    assert "from jaeger" in drawn.text
    assert "payments" in drawn.text
    assert '<span class="bad">failed</span>' in drawn.text
    lines = alice.get("/part/trace-logs", params={"id": shop.FAILED, "connection": "jaeger"})
    assert lines.status_code == 200
    assert 'class="refused"' in lines.text


@pytest.mark.parametrize("kind", sorted(Registry().backends()))
def test_each_kind_has_a_form_that_says_what_was_typed(kind: str) -> None:
    """What is left as it was is left out; what is typed comes back as the kind's configuration takes it."""
    backend = Registry().backends()[kind]
    shown = fields(backend, {})
    assert values_without_empty(values_of(backend, {f"config.{one.name}": one.value for one in shown})) == {}
    typed: dict[str, Any] = {
        "url": "http://127.0.0.1:9",
        "auth.type": "basic",
        "auth.username": "reader",
        "auth.password": SECRET,
        "headers": "A: b",
        "password": SECRET,
        "api_key": SECRET,
        "app_key": SECRET,
        "region": "us-east-1",
        "access_key_id": SECRET,
        "secret_access_key": SECRET,
    }
    form = {
        f"config.{name}": value for name, value in typed.items() if name in {field.name for field in shown}
    }
    config = backend.config.model_validate(values_of(backend, form))
    assert SECRET not in str([field.value for field in fields(backend, config.model_dump())])
    assert {field.name for field in shown if field.kind == "password"}, shown


def values_without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Return what a form says, without the groups in which nothing is said."""
    return {name: value for name, value in values.items() if value != {}}
