"""Which connection is meant: the one that is named, or the one that fits best, with the reason."""

from collections.abc import Callable, Sequence
from typing import Final

from access.refusal import Code, Refusal
from connectors.connected import Connection
from connectors.contract import Health, Signal
from connectors.directory import pick
from connectors.entry import Entry, Source
from connectors.failures import named

Signals = Callable[[Entry], frozenset[Signal]]
_ORDER: Final = (Health.HEALTHY, Health.UNKNOWN, Health.DEGRADED, Health.UNHEALTHY)
_SHOWN: Final = 10


def described(entry: Entry, signals: frozenset[Signal], reason: str = "") -> Connection:
    """Return an entry as tools see it."""
    return Connection(
        entry.id,
        entry.name,
        entry.backend_type,
        signals,
        entry.is_default,
        entry.checked.health,
        entry.tags,
        reason,
    )


def ordered(entries: Sequence[Entry]) -> list[Entry]:
    """Return the enabled ones in the order in which they are offered: defaults, the healthiest, own store last."""
    return sorted(
        (one for one in entries if one.is_enabled),
        key=lambda one: (
            one.source is Source.OWN,
            not one.is_default,
            _ORDER.index(one.checked.health),
            one.name,
        ),
    )


def chosen(
    entries: Sequence[Entry],
    signals: Signals,
    signal: Signal,
    name: str | None,
    only_named: Signals = lambda _: frozenset(),
) -> Connection:
    """Return the connection that is meant. Raises Refusal for one that there is not or that has no such signal.

    Without a name it is a default one, else the only one besides the own store, else the healthiest, else the own
    store. One that has the signal `only_named` is not chosen: a question in PromQL is not meant for Loki.
    """
    if name:
        return _by_name(entries, signals, signal, name)
    able = [one for one in ordered(entries) if signal in signals(one) - only_named(one)]
    if not able:
        raise Refusal(
            Code.UNKNOWN_NAME,
            f"No enabled connection has {signal.value}.",
            "connection",
            suggestions=("Add one: telemetry connections add, or POST /api/v1/observability/connections.",),
        )
    others = [one for one in able if one.source is not Source.OWN]
    defaults = [one for one in others if one.is_default]
    if defaults:
        return described(defaults[0], signals(defaults[0]), _of_defaults(defaults))
    if not others:
        reason = f"no other connection has {signal.value}"
    elif len(others) == 1:
        reason = f"the only connection besides the own store that has {signal.value}"
    else:
        names = ", ".join(one.name for one in others[:_SHOWN])
        reason = f"{others[0].checked.health.value}, and first of those that have {signal.value}: {names}"
    best = able[0]
    return described(best, signals(best), reason)


def _of_defaults(defaults: Sequence[Entry]) -> str:
    first = defaults[0]
    reason = f"the default of {first.backend_type}"
    if len(defaults) > 1:
        reason += f", {first.checked.health.value}; other defaults: " + ", ".join(
            one.name for one in defaults[1:_SHOWN]
        )
    return reason


def _by_name(entries: Sequence[Entry], signals: Signals, signal: Signal, name: str) -> Connection:
    entry = pick(entries, name, "connection")
    if not entry.is_enabled:
        raise Refusal(
            Code.FORBIDDEN,
            f"{named(entry)} is disabled: enable it, or name another one.",
            "connection",
            accepted=_names(entries, signals, signal),
        )
    if signal not in signals(entry):
        raise Refusal(
            Code.UNSUPPORTED,
            f"{named(entry)} has no {signal.value}.",
            "connection",
            accepted=_names(entries, signals, signal),
        )
    return described(entry, signals(entry), "named")


def _names(entries: Sequence[Entry], signals: Signals, signal: Signal) -> tuple[str, ...]:
    return tuple(one.name for one in ordered(entries) if signal in signals(one))
