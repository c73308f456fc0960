"""Connections in YAML: variables, faults all at once, and what an export is applied as."""

from pathlib import Path

import pytest
import yaml

from connectors.connections_file import ConnectionsFileError, exported, parsed, read
from connectors.entry import EVERYONE, Entry, Source
from connectors.registry import Registry
from tests.connector_kinds import OTHER, PLAIN

REGISTRY = Registry([PLAIN, OTHER], ())
TEXT = """
connections:
  - name: prod
    backend_type: plain
    is_default: true
    tags: [eu]
    config:
      url: http://${HOST}:9090
      auth: {type: bearer, token: "${TOKEN}"}
      headers: {X-Plain: "$${TOKEN}"}
  - name: shared
    backend_type: other
    users: [alice, bob]
    config: {url: "http://x"}
"""


def test_variables_are_replaced_and_credentials_set_apart(tmp_path: Path) -> None:
    """An entry for all, or one for each user that is named; the same id at every start."""
    path = tmp_path / "connections.yaml"
    path.write_text(TEXT)
    found = read(path, REGISTRY, {"HOST": "h", "TOKEN": "hunter2"})
    assert [(one.entry.name, one.entry.user, one.entry.source) for one in found] == [
        ("prod", EVERYONE, Source.FILE), ("shared", "alice", Source.FILE), ("shared", "bob", Source.FILE),
    ]  # fmt: skip
    assert found[0].entry.config == {
        "url": "http://h:9090", "auth": {"type": "bearer", "token": "set"}, "headers": {"X-Plain": "set"},
    }  # fmt: skip
    assert found[0].config["auth"]["token"] == "hunter2"
    assert found[0].config["headers"]["X-Plain"] == "${TOKEN}"
    assert (found[0].entry.is_default, found[0].entry.tags) == (True, ("eu",))
    assert "hunter2" not in repr(found)
    again = read(path, REGISTRY, {"HOST": "h", "TOKEN": "other"})
    assert [one.entry.id for one in again] == [one.entry.id for one in found]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("connections: [", ["line 1 is not YAML"]),
        ("[" * 3_000, ["nested too deeply"]),
        ("- x", ["the file: must be a mapping of names to values"]),
        ("conections: []", ["connections: is missing", "conections: is not known here"]),
        (TEXT, ["the environment variable HOST is not set", "the environment variable TOKEN is not set"]),
        (
            (
                "connections: [{name: telemetry, backend_type: plain, config: {url: x}},"
                " {name: a, backend_type: plain, config: {}}, {name: a, backend_type: plain, config: {}}]"
            ),
            ["more than one connection 'a'", "own store"],
        ),
        (
            (
                "connections: [{name: a, backend_type: plan, config: {}}, {name: b, backend_type: plain,"
                " config: {url: 'hunter2', ulr: hunter2}}]"
            ),
            [
                "connection 1: There is no kind of system 'plan'. Did you mean plain?",
                "connection 2: config.ulr",
            ],
        ),
    ],
)
def test_all_faults_are_told_at_once_without_a_value(tmp_path: Path, text: str, faults: list[str]) -> None:
    """Each in a line that begins with the file."""
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConnectionsFileError) as caught:
        read(path, REGISTRY, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == len(faults)
    assert all(
        line.startswith(f"{path}: ") and fault in line for line, fault in zip(lines, faults, strict=True)
    )
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the setting."""
    with pytest.raises(ConnectionsFileError, match="TELEMETRY_CONNECTIONS_FILE"):
        read(tmp_path / "none.yaml", REGISTRY, {})


def test_what_is_exported_is_read_again() -> None:
    """A credential is a variable that is named for its place, and `${` in a text stays itself."""
    entry = Entry(
        "id", "owner", "prod eu", "plain",
        {"url": "http://${x}", "auth": {"type": "bearer", "token": "set"}}, "d", True, True, ("a",),
    )  # fmt: skip
    text = exported([entry])
    assert yaml.safe_load(text)["connections"][0]["config"]["auth"]["token"] == "${PROD_EU_AUTH_TOKEN}"
    (found,) = parsed(text, "x", {"PROD_EU_AUTH_TOKEN": "hunter2"})
    assert found.draft.config == {"url": "http://${x}", "auth": {"type": "bearer", "token": "hunter2"}}
    assert (found.draft.name, found.draft.is_default, found.draft.tags, found.draft.description) == (
        "prod eu", True, ("a",), "d",
    )  # fmt: skip
    assert parsed("", "x", {}) == []
