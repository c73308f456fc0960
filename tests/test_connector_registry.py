"""The kinds of system: this project's, those of other distributions, and broken ones."""

import importlib
from pathlib import Path

import pytest

from access.refusal import Refusal
from connectors.registry import BUILT_IN, Registry
from tests.connector_kinds import OTHER, PLAIN, installed
from tests.server import ROOT


def test_each_adapter_of_this_project_is_in_the_table() -> None:
    """Every module that has kinds; each kind loads, by a name of its own."""
    modules = [f"connectors.adapters.{path.stem}" for path in (ROOT / "connectors/adapters").glob("*.py")]
    having = {name for name in modules if hasattr(importlib.import_module(name), "BACKENDS")}
    assert having <= set(BUILT_IN)
    kinds = [one.backend_type for name in sorted(having) for one in importlib.import_module(name).BACKENDS]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) == set(Registry(modules=sorted(having)).backends())


def test_an_entry_point_adds_a_kind_and_a_broken_one_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others work; the report has the name and the kind of error alone."""
    installed(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry(modules=())
    assert registry.backend("plain") is PLAIN
    assert registry.problems == ["x: ModuleNotFoundError"]


def test_an_entry_point_takes_no_name_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution cannot put itself between this project and a system's credentials."""
    installed(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry([PLAIN, OTHER], ())
    assert registry.backend("plain") is PLAIN
    assert "plain: KeyError" in registry.problems


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    """As every name is."""
    with pytest.raises(Refusal, match="Did you mean plain"):
        Registry([PLAIN], ()).backend("plian")
