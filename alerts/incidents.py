"""Which incidents people were told of, kept in a small file so that none is sent twice, also after a restart.

An incident is a finding's measure and thing, its scope, and when it began. The beginning moves as more is known, and so
does the scope: from a person to the team. So a finding is a known incident when it is of the same measure and thing,
is of the same scope or shares a person, and began before the known one was over for GAP. One that comes back later is
new.

The file has times and keyed hashes, no text of telemetry; the key is made at random for the file. It is held by one
process at a time, and replaced in one step.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from access.insight.finding import Finding
from alerts.errors import AlertError
from config import private_file

log = structlog.get_logger()

FILE: Final = "alerts.json"
"""In the data directory."""
GAP: Final = timedelta(days=3)
_KEPT: Final = timedelta(days=90)
_MOST: Final = 2_000
"""Incidents that are remembered."""
_PEOPLE: Final = 200
_SHORT: Final = 16
"""Hexadecimal digits of a hash that are kept."""
_ID: Final = 8


@dataclass(slots=True)
class Incident:
    """One incident. All but the times are hashes; the times are Unix seconds."""

    what: str
    """Of the measure and the thing."""
    scopes: list[str]
    users: list[str]
    active: int
    """When it was last known to go on."""


class Incidents:
    """The incidents that people know of."""

    def __init__(self, key: str, known: list[Incident]) -> None:
        self.key = key
        self.known = known

    def name(self, finding: Finding) -> str:
        """Return a short name of an incident that says nothing of it, for a label."""
        return self._hash(finding.kind, finding.thing, *_scope(finding))[:_ID]

    def is_known(self, finding: Finding) -> bool:
        """Whether people know of an incident already."""
        return self._same(finding) is not None

    def remember(self, finding: Finding, now: datetime) -> None:
        """Keep that people know of an incident, and that it goes on, or until when it did."""
        one = self._same(finding)
        if one is None:
            one = Incident(self._hash(finding.kind, finding.thing), [], [], 0)
            self.known.append(one)
        one.active = max(one.active, int((finding.until or now).timestamp()))
        one.scopes = _joined(one.scopes, [self._hash(*_scope(finding))])
        one.users = _joined(one.users, [self._hash("user", user) for user in finding.users])

    def forget_old(self, now: datetime) -> None:
        """Leave out what was over long ago."""
        oldest = (now - _KEPT).timestamp()
        kept = [one for one in self.known if one.active >= oldest]
        self.known = sorted(kept, key=lambda one: one.active)[-_MOST:]

    def _same(self, finding: Finding) -> Incident | None:
        what, scope = self._hash(finding.kind, finding.thing), self._hash(*_scope(finding))
        users = {self._hash("user", user) for user in finding.users}
        since = (finding.since - GAP).timestamp()
        for one in reversed(self.known):
            is_theirs = scope in one.scopes or not users.isdisjoint(one.users)
            if one.what == what and is_theirs and since <= one.active:
                return one
        return None

    def _hash(self, *parts: str) -> str:
        text = json.dumps(parts).encode("utf-8", "surrogatepass")
        return hmac.new(bytes.fromhex(self.key), text, hashlib.sha256).hexdigest()[:_SHORT]


@contextmanager
def opened(directory: Path) -> Iterator[tuple[Incidents, Path]]:
    """Yield the incidents of a data directory and their file, held until the end. Raises AlertError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "alerts.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise _unusable(error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield _read(directory / FILE), directory / FILE
    finally:
        os.close(descriptor)


def save(incidents: Incidents, path: Path) -> None:
    """Replace the file, so that a crash leaves the old one or the new one. Raises AlertError."""
    content = json.dumps({"key": incidents.key, "incidents": [asdict(one) for one in incidents.known]})
    try:
        private_file.replace(path, content)
    except OSError as error:
        raise _unusable(error) from None


def _read(path: Path) -> Incidents:
    """Return what is kept. A damaged file is set aside: an incident may then be sent once more, but none is lost."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = [
            Incident(str(one["what"]), [*one["scopes"]], [*one["users"]], int(one["active"]))
            for one in kept["incidents"]
        ]
        bytes.fromhex(kept["key"])
        return Incidents(kept["key"], known)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(error) from None
    except (ValueError, KeyError, TypeError):
        log.warning(
            "The file of sent alerts is damaged and set aside; some may be sent once more.", file=FILE
        )
        path.replace(path.with_suffix(".damaged"))
    return Incidents(secrets.token_hex(16), [])


def _unusable(error: OSError) -> AlertError:
    return AlertError(
        f"The file of sent alerts, {FILE} in the data directory, cannot be used ({error.strerror}): make it writable,"
        " or set TELEMETRY_DATA_DIR to another directory."
    )


def _scope(finding: Finding) -> tuple[str, str]:
    return finding.scope.dimension, finding.scope.value


def _joined(some: Sequence[str], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*some, *more]))[:_PEOPLE]
