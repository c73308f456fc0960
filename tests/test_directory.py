"""What may be written of a connection, by any way, and what becomes of credentials when it is changed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from access.refusal import Code, Refusal
from config.settings import Settings
from connectors.addresses import Policy
from connectors.configuration import checked, kept, parts, together
from connectors.contract import Adapter, Health
from connectors.directory import OWN, Directory, OwnStore
from connectors.entry import Checked, Draft
from connectors.installation import LateState, policy
from connectors.registry import Registry
from tests.connector_kinds import OTHER, PLAIN

URL = "http://x:9090"
BEARER = {"type": "bearer", "token": "hunter2"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Directory]:
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    late = LateState(settings)
    yield Directory(Registry([PLAIN, OTHER], ()), late.connections, policy(settings))
    late.close()


def draft(config: dict[str, Any], name: str = "a", backend_type: str = "plain", **more: Any) -> Draft:
    return Draft(name, backend_type, config, **more)


@pytest.mark.parametrize("word", ["\ud800", "a\0", "x" * 70_000])
@pytest.mark.parametrize("place", ["url", "header", "description"])
def test_a_text_that_cannot_be_kept_is_refused(here: Directory, word: str, place: str) -> None:
    """By the command line too, whose YAML has texts that JSON over HTTP has not."""
    config: dict[str, Any] = {"url": URL, "headers": {"X": "y"}}
    if place == "url":
        config["url"] += word
    elif place == "header":
        config["headers"]["X"] = word
    with pytest.raises(Refusal) as caught:
        here.added("owner", draft(config, description=word if place == "description" else ""))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_header_that_is_left_out_is_deleted_and_a_token_is_kept(here: Directory) -> None:
    """A field of the configuration stays where its surroundings are; an entry of a mapping is there or not."""
    config = {"url": URL, "auth": BEARER, "headers": {"A": "hunter3", "B": "hunter4"}}
    entry = here.added("owner", draft(config))
    changed = here.replaced(
        "owner", entry.id, draft({"url": f"{URL}/", "auth": {"type": "bearer"}, "headers": {"B": "set"}})
    )
    assert changed.config["headers"] == {"B": "set"}
    here.configured(changed)
    raw = together(changed.config, here._kept().secrets(changed))
    assert (raw["auth"]["token"], raw["headers"]) == ("hunter2", {"B": "hunter4"})
    without = here.replaced("owner", entry.id, draft({"url": URL}))
    assert here._kept().secrets(without) == ()


@pytest.mark.parametrize("url", ["http://y:9090", "https://x:9090", "http://x:9091", "http://x"])
def test_a_credential_stays_where_it_was_meant_for(here: Directory, url: str) -> None:
    """Another scheme, host or port needs it again; another kind of system has none of it."""
    entry = here.added("owner", draft({"url": URL, "auth": BEARER}))
    with pytest.raises(Refusal, match="another place"):
        here.replaced("owner", entry.id, draft({"url": url, "auth": {"type": "bearer"}}))
    assert here.replaced("owner", entry.id, draft({"url": url, "auth": BEARER})).config["url"] == url
    with pytest.raises(Refusal, match="needs a token"):
        here.replaced(
            "owner", entry.id, draft({"url": url, "auth": {"type": "bearer"}}, backend_type="other")
        )


def test_the_own_store_is_not_changed(here: Directory) -> None:
    """Nor is its name taken."""
    own = Directory(here.registry, here._kept, Policy(), own=OwnStore(_never))
    with pytest.raises(Refusal, match="always connected"):
        own.removed("owner", OWN.id)
    with pytest.raises(Refusal, match="always connected"):
        own.replaced("owner", OWN.id, draft({"url": URL}))
    with pytest.raises(Refusal, match="own store"):
        own.added("owner", draft({"url": URL}, "telemetry"))
    assert [one.name for one in own.entries("owner")] == ["telemetry"]


def _never() -> Any:
    raise AssertionError("it is opened")


def test_a_configuration_is_put_together_as_it_was() -> None:
    """Whatever is a credential in it, and in whatever order."""
    config = {"url": URL, "auth": BEARER, "headers": {"set": "set", "A": "b"}, "timeout_seconds": 2.0}
    found = parts(checked(PLAIN.config, config))
    assert "hunter2" not in repr(found)
    assert together(found.public, found.secrets) == config
    assert kept(found.public, found.public, found.secrets) == config


def test_what_a_check_of_the_own_store_found_is_known_to_the_next(tmp_path: Path) -> None:
    """It is kept in no state; without this each round would report a change."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    late = LateState(settings)
    try:
        made = Directory(Registry([PLAIN], ()), late.connections, policy(settings), (), OwnStore(_never))
        found = Checked(Health.HEALTHY, "", datetime.now(UTC))
        made.record(OWN, found)
        assert [entry.checked for entry in made.everyones()] == [found]
        assert [entry.checked for entry in made.entries("anyone")] == [found]
    finally:
        late.close()


def _never() -> Adapter:
    raise AssertionError
