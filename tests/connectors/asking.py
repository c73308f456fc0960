"""How the contract's tests ask a system: in a loop of its own, with an adapter opened for that question alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from connectors.contract import BackendError, MetricsRequest
from tests.connectors.conftest import System
from tests.connectors.subject import WINDOW, MetricsExample

T = TypeVar("T")
Call = Callable[[Any], Awaitable[Any]]


def of(signal: str) -> Callable[[T], T]:
    """Run a test on the subjects that have a signal alone."""

    def marked(test: T) -> T:
        test.signal = signal  # type: ignore[attr-defined]
        return test

    return marked


def only(name: str) -> Callable[[T], T]:
    """Run a test on the subject of a name alone."""

    def marked(test: T) -> T:
        test.name = name  # type: ignore[attr-defined]
        return test

    return marked


def ask(system: System, call: Callable[[Any], Awaitable[T]]) -> T:
    """Return what a call on a new adapter returns."""

    async def run() -> T:
        adapter = system.adapter()
        try:
            return await call(adapter)
        finally:
            await adapter.close()

    return asyncio.run(run())


def refused(system: System, call: Call) -> BackendError:
    """Return the error of a call."""
    with pytest.raises(BackendError) as caught:
        ask(system, call)
    return caught.value


def range_of(example: MetricsExample, query: str = "", series: int = 1_000) -> MetricsRequest:
    """Return a request over the window."""
    return MetricsRequest(query or example.query, WINDOW, example.step_seconds, series)


def is_hexadecimal(text: str, digits: int) -> bool:
    """Whether a text is so many lower-case hexadecimal digits."""
    return len(text) == digits and set(text) <= set("0123456789abcdef")
