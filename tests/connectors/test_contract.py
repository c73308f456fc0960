"""What every adapter does, whatever its signals: the contract of connectors/contract.py, held on each subject."""

from connectors.contract import Adapter, Health, Logs, Metrics, Signal, Traces
from tests.connectors.asking import ask
from tests.connectors.conftest import System
from tests.connectors.subject import WINDOW

_PROTOCOLS = {Signal.METRICS: Metrics, Signal.LOGS: Logs, Signal.TRACES: Traces}


def test_an_adapter_has_what_its_signals_promise(system: System) -> None:
    """It implements the protocols of its signals, and no signal without one."""

    async def look(adapter: Adapter) -> None:
        assert isinstance(adapter, Adapter)
        assert adapter.backend_type
        assert {one for one in _PROTOCOLS if isinstance(adapter, _PROTOCOLS[one])} == adapter.signals
        examples = {Signal.METRICS: system.subject.metrics, Signal.LOGS: system.subject.logs,
                    Signal.TRACES: system.subject.traces}  # fmt: skip
        assert {one for one, example in examples.items() if example is not None} == adapter.signals

    ask(system, look)


def test_a_system_that_answers_is_healthy(system: System) -> None:
    """The report has no reason."""
    report = ask(system, lambda adapter: adapter.health())
    assert (report.health, report.reason) == (Health.HEALTHY, "")


def test_services_are_named_and_bounded(system: System) -> None:
    """All that the window has, in order and without repetition; at most as many as asked for."""
    every = ask(system, lambda adapter: adapter.services(WINDOW, 100))
    assert system.subject.services <= set(every)
    assert list(every) == sorted(set(every))
    assert list(ask(system, lambda adapter: adapter.services(WINDOW, 1))) == list(every[:1])
