"""The order of the tests: units that take longest first, each whole."""

from itertools import groupby
from pathlib import Path

import pytest

from tests.conftest import LONGEST, unit

TESTS = Path(__file__).parent


def test_the_longest_files_are_there() -> None:
    """A file that is renamed keeps its place."""
    assert sorted(set(LONGEST) - {path.name for path in TESTS.rglob("test_*.py")}) == []


def test_units_are_run_whole_and_the_longest_first(request: pytest.FixtureRequest) -> None:
    """A server or an engine that a file's tests share, or those of several files, is started once."""
    run = [
        (name, list(items)) for name, items in groupby(request.session.items, lambda item: unit(item.nodeid))
    ]
    assert len(run) == len({name for name, _ in run})
    places = [
        min(LONGEST.index(item.path.name) for item in items if item.path.name in LONGEST)
        for _, items in run
        if any(item.path.name in LONGEST for item in items)
    ]
    assert places == sorted(places)
