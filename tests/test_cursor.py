"""Cursors and result ids: only what this server made, for this caller and question, and only for a while."""

import base64
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.cursor import Signer, fingerprint
from access.refusal import Code, Refusal
from tests.server import ROOT

QUESTION = fingerprint("calls", {"tool": "Bash"})


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def refused(signer: Signer, cursor: str, caller: str = "one", question: str = QUESTION) -> Code:
    with pytest.raises(Refusal) as caught:
        signer.position(cursor, caller, question)
    assert caught.value.field == "cursor"
    return caught.value.code


def test_a_cursor_says_where_to_go_on() -> None:
    """To its owner, for its question: in numbers and texts, exactly."""
    signer = Signer()
    position = [1795342800000000000, 18446744073709551615, 0.1, "é\n", None, True]
    assert signer.position(signer.cursor("one", QUESTION, position), "one", QUESTION) == position


def test_of_others_for_others_and_expired_it_is_refused() -> None:
    """Each with a code of its own."""
    clock = Clock()
    signer = Signer(clock=clock)
    cursor = signer.cursor("one", QUESTION, [1], seconds=60)
    assert refused(signer, cursor, caller="two") == Code.FORBIDDEN
    assert refused(signer, cursor, question=fingerprint("calls", {"tool": "Read"})) == Code.INVALID_CURSOR
    assert refused(Signer(clock=clock), cursor) == Code.INVALID_CURSOR
    clock.now += 59
    assert signer.position(cursor, "one", QUESTION) == [1]
    clock.now += 1
    assert refused(signer, cursor) == Code.EXPIRED


def test_a_key_that_is_given_holds_in_every_process() -> None:
    """Its cursors are those of all that have it."""
    cursor = Signer(b"key").cursor("one", QUESTION, [1])
    assert Signer(b"key").position(cursor, "one", QUESTION) == [1]
    assert b"key" not in base64.urlsafe_b64decode(cursor + "==")
    assert "key" not in repr(Signer(b"key"))


@given(st.data())
def test_no_altered_cursor_is_taken(data: st.DataObject) -> None:
    """Not one letter, more, or fewer."""
    signer = Signer(b"key")
    cursor = signer.cursor("one", QUESTION, [1, "a"])
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=+/ é\0"))
    altered = data.draw(
        st.sampled_from(
            [cursor[:place] + letter + cursor[place + 1 :], cursor[:place], cursor + letter, letter + cursor]
        )
    )
    if altered != cursor:
        assert refused(signer, altered) == Code.INVALID_CURSOR


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    """As a cursor that is not ours; nothing else is raised."""
    assert refused(Signer(b"key"), text) == Code.INVALID_CURSOR


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Whatever the order of the arguments' names."""
    made = subprocess.run(
        [sys.executable, "-c", "from access.cursor import fingerprint; print(fingerprint('x', {'b': 1, 'a': [2]}))"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=180,
    ).stdout.strip()  # fmt: skip
    assert made == fingerprint("x", {"a": [2], "b": 1}) != fingerprint("x", {"a": [2], "b": 2})
