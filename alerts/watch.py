"""Looks for findings on a schedule, in a thread of the web process: reports them as metrics, and sends what is new.

The tables are asked as the user who only reads, within a reader's limits. A look that fails is counted and logged, and
stops nothing. The thread ends with the process: what was not sent then is sent after the next start.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from access.insight.find import find
from access.insight.finding import Finding
from access.query import Streams
from alerts.errors import AlertError
from alerts.incidents import Incidents, opened, save
from alerts.notices import Sent, notify
from alerts.webhook import Webhook
from config.settings import Settings

log = structlog.get_logger()

_PERIOD: Final = timedelta(days=7)
_HOUR: Final = timedelta(hours=1)
_FIRST_SECONDS: Final = 30.0
"""The first look comes when the server has started, and what waited has arrived."""
_AGAIN_SECONDS: Final = 300.0
"""After a failure the next look comes this soon, if it would not come before."""
WEBHOOK_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. `names` has the incidents' names, in the order of the findings."""

    findings: Sequence[Finding]
    names: Sequence[str]
    sent: Sent
    due: float
    """When the next look comes, in Unix seconds."""
    is_failed: bool = False
    """Nothing is known: the findings of the look before hold."""


class Watch:
    """The schedule. `seconds` lie between two looks; without a webhook nothing is sent."""

    def __init__(self, store: Streams, directory: Path, seconds: float, webhook: Webhook | None) -> None:
        self._store = store
        self._directory = directory
        self._seconds = seconds
        self._webhook = webhook
        self._report: Callable[[Look], None] = lambda _: None

    def report_to(self, report: Callable[[Look], None]) -> None:
        """Call this function with what each look found."""
        self._report = report

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look again and again, until the end."""
        stopping = threading.Event()
        thread = threading.Thread(target=self._run, args=(stopping,), name="alerts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Not waited for: a look may take longer than a stop may.
            stopping.set()

    def look(self, now: datetime) -> Look:
        """Look once, and send what is new. Raises AlertError, and what the store raises."""
        until = now.replace(minute=0, second=0, microsecond=0) + _HOUR
        findings = find(self._store, until - _PERIOD, until, now=now).findings
        with opened(self._directory) as (incidents, path):
            sent = self._notified(findings, incidents, path, now)
            return Look(findings, [incidents.name(one) for one in findings], sent, 0.0)

    def _notified(self, findings: Sequence[Finding], incidents: Incidents, path: Path, now: datetime) -> Sent:
        if self._webhook is None:
            # Names stay the same from one look to the next.
            save(incidents, path)
            return Sent(0, 0)
        return notify(findings, incidents, path, self._webhook, now)

    def _run(self, stopping: threading.Event) -> None:
        pause = min(self._seconds, _FIRST_SECONDS)
        while not stopping.wait(pause):
            # Not all servers at the same moment.
            pause = self._seconds * random.uniform(0.9, 1.1)  # noqa: S311  no secret
            try:
                found = self.look(datetime.now(UTC))
            except Exception as error:  # noqa: BLE001  the edge of the thread: the schedule goes on
                pause = min(pause, _AGAIN_SECONDS)
                # The name alone: a store's text could quote data.
                reason = str(error) if isinstance(error, AlertError) else type(error).__name__
                log.warning("A look for findings failed.", reason=reason)
                found = Look((), (), Sent(0, 0), 0.0, is_failed=True)
            if found.sent.failure:
                pause = min(pause, _AGAIN_SECONDS)
                log.warning("Alerts were not sent, and are tried again.", reason=found.sent.failure)
            due = datetime.now(UTC).timestamp() + pause
            self._report(Look(found.findings, found.names, found.sent, due, found.is_failed))


def webhook_of(settings: Settings) -> Webhook | None:
    """Return the webhook of the settings, None without one."""
    url = settings.alert_webhook.get_secret_value()
    return Webhook(url, settings.alert_ca_file) if url else None


def watch_of(settings: Settings, store: Streams) -> Watch | None:
    """Return the schedule of the settings, None when it is off."""
    webhook = webhook_of(settings)
    seconds = settings.alert_seconds
    if seconds is None:
        seconds = WEBHOOK_SECONDS if webhook else 0.0
    return Watch(store, settings.data_dir, seconds, webhook) if seconds else None
