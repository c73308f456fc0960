"""What the store has already of a transcript's events: sent by the client itself, or imported before.

The client's own ids decide: `request_id`, `tool_use_id`, `prompt.id` and the message's. An event that it sent without
one (a compaction, the end of a subagent, a failure after the last retry, whose id the transcript alone has) is the same
when session, type, time and output tokens agree.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from clickhouse.client import Client
from onboarding.history.event import Event
from onboarding.history.files import NANOSECONDS

_KNOWN: Final = (Path(__file__).parent / "known.sql").read_text(encoding="utf-8")
_NAMELESS: Final = (Path(__file__).parent / "nameless.sql").read_text(encoding="utf-8")
_AROUND: Final = timedelta(hours=1)
"""The client sends an event within this of the time that the transcript has for it."""
_CLOSE: Final = 15 * NANOSECONDS


class Known:
    """Asks a store, as the user who only reads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def new(self, events: Sequence[Event]) -> list[Event]:
        """Return those of the events that the store does not have. Raises ClientError."""
        if not events:
            return []
        times = [datetime.fromtimestamp(event.time / NANOSECONDS, UTC) for event in events]
        period = {
            "from": f"{min(times) - _AROUND:%Y-%m-%d %H:%M:%S}",
            "to": f"{max(times) + _AROUND:%Y-%m-%d %H:%M:%S}",
        }
        found = self._client.rows(
            _KNOWN,
            period
            | {
                "types": sorted({event.name for event in events}),
                "ids": sorted({one for event in events for one in (event.key, *event.ids)}),
            },
        )
        known = {(str(name), str(one)) for name, one in found}
        left = [
            event
            for event in events
            if not any((event.name, one) in known for one in (event.key, *event.ids))
        ]
        return self._without_nameless(left, period)

    def _without_nameless(self, events: list[Event], period: dict[str, str]) -> list[Event]:
        if not events:
            return events
        sent = defaultdict[tuple[str, str, int], list[int]](list)
        for name, session, output, time in self._client.rows(
            _NAMELESS,
            period
            | {
                "types": sorted({event.name for event in events}),
                "sessions": sorted({event.session for event in events}),
            },
        ):
            sent[str(name), str(session), int(output)].append(int(time))
        return [event for event in events if not _is_among(event, sent)]


def _is_among(event: Event, sent: dict[tuple[str, str, int], list[int]]) -> bool:
    """Whether a time of the same kind of event is close; each time matches one event only."""
    times = sent.get((event.name, event.session, int(event.attributes.get("output_tokens", 0))), [])
    near = min(times, key=lambda time: abs(time - event.time), default=None)
    if near is None or abs(near - event.time) > _CLOSE:
        return False
    times.remove(near)
    return True
