"""The order of the files: the longest first, each whole."""

from itertools import groupby
from pathlib import Path

import pytest

from tests.conftest import LONGEST

TESTS = Path(__file__).parent


def test_the_longest_files_are_there() -> None:
    """A file that is renamed keeps its place."""
    assert sorted(set(LONGEST) - {path.name for path in TESTS.rglob("test_*.py")}) == []


def test_files_are_run_whole_and_the_longest_first(request: pytest.FixtureRequest) -> None:
    """A server or an engine that a file shares is started once."""
    files = [path.name for path, _ in groupby(item.path for item in request.session.items)]
    assert len(files) == len({item.path for item in request.session.items})
    # Folders may have files of the same name, which then have the same place.
    longest = list(dict.fromkeys(name for name in files if name in LONGEST))
    assert longest == [name for name in LONGEST if name in files]
