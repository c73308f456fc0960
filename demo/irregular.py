"""Records that no correct client sends, which must be kept or counted and must distort no total."""

from typing import Final

from demo.records import Event, Value
from demo.schedule import Visit

_CENTURY_LATE: Final = 4_102_444_800_000_000_000
_TOO_OLD: Final = 3_600_000_000_000


def irregular_events(visit: Visit) -> list[Event]:
    """Return irregular events at the time of a visit; none costs anything or is a failure."""
    at = visit.start
    return [
        _event(
            at,
            "tool_result",
            tool_name="Read",
            success="true",
            duration_ms="-47",
            tool_use_id=f"toolu_odd_1_{at}",
        ),
        _event(
            at,
            "tool_result",
            tool_name="Read",
            success="perhaps",
            duration_ms="soon",
            tool_use_id=f"toolu_odd_2_{at}",
        ),
        _event(
            at, "api_request", model="claude-sonnet-4-6", input_tokens=1e300, request_id=f"req_odd_1_{at}"
        ),
        _event(at, "api_request", model="", output_tokens=-5, request_id=f"req_odd_2_{at}"),
        _event(at, "invented_by_a_newer_client", answer=42),
        _event(at, "invented_by_a_newer_client", prompt_length=""),
        _event(_CENTURY_LATE, "invented_by_a_newer_client", answer=43),
        Event(at, "invented_by_a_newer_client", {"event.sequence": "first"}),
    ]


def too_old() -> Event:
    """Return an event of 1970, which no table keeps."""
    return _event(_TOO_OLD, "invented_by_a_newer_client", answer=41)


def _event(time: int, name: str, **attributes: Value) -> Event:
    return Event(time, name, {"event.name": name, "event.sequence": 0, **attributes})
