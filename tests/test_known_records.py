"""Hashes of stored records: the newest are known, also after a restart, and none after the machine's."""

import os
import time
from pathlib import Path

from receiver.known_records import KnownRecords


def test_the_newest_are_known(tmp_path: Path) -> None:
    """As many as are asked for at least, and twice as many at most."""
    known = KnownRecords(tmp_path / "known", 100, 900)
    for first in range(0, 1000, 10):
        known.add({1 << 63 | number for number in range(first, first + 10)})
        newest = [1 << 63 | number for number in range(max(0, first - 90), first + 10)]
        assert all(number in known for number in newest)
        assert not known.isdisjoint(set(newest[:1]))
    assert sum((1 << 63 | number) in known for number in range(1000)) <= 200
    known.close()


def test_they_are_known_after_a_kill(tmp_path: Path) -> None:
    """Nothing was closed, and another file was begun in between; what was cut off in a write is left out."""
    known = KnownRecords(tmp_path / "known", 10, 900)
    for number in range(1, 16):
        known.add({number})
    with (tmp_path / "known").open("ab") as file:
        file.write(b"cut")
    again = KnownRecords(tmp_path / "known", 10, 900)
    assert [number for number in range(20) if number in again] == list(range(1, 16))
    again.add({99})
    again.close()
    assert 99 in KnownRecords(tmp_path / "known", 10, 900)


def test_none_are_known_after_a_restart_of_the_machine(tmp_path: Path) -> None:
    """Rows that were not synced may be lost, and then must be stored when they are sent again."""
    known = KnownRecords(tmp_path / "known", 10, 900)
    known.add({1, 2})
    known.close()
    data = (tmp_path / "known").read_bytes()
    (tmp_path / "known").write_bytes(b"another-boot" + data[12:])
    assert KnownRecords(tmp_path / "known", 10, 900).isdisjoint({1, 2})


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    """As all files of the data directory."""
    KnownRecords(tmp_path / "known", 10, 900).close()
    assert (tmp_path / "known").stat().st_mode & 0o777 == 0o600


def test_what_was_stored_long_ago_is_forgotten(tmp_path: Path) -> None:
    """In the process, and from a file that was not written to since."""
    known = KnownRecords(tmp_path / "known", 10, 0.05)
    known.add({1})
    time.sleep(0.11)
    known.forget_old()
    assert 1 not in known
    known.add({2})
    assert 2 in known
    known.close()
    old = time.time() - 1000
    os.utime(tmp_path / "known", (old, old))
    assert 2 not in KnownRecords(tmp_path / "known", 10, 900)
