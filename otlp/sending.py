"""Send many requests, several at a time, and try again those that the receiver is too busy for."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from otlp.sender import Cause, SendError

Request = TypeVar("Request")

IN_FLIGHT: Final = 64
_PATIENCE_SECONDS: Final = 120
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0


def send_all(
    requests: Iterable[Request], export: Callable[[Request], None], in_flight: int = IN_FLIGHT
) -> Iterator[Request]:
    """Send all requests, a few at a time, and yield each when it is acknowledged. Raises SendError."""
    with ThreadPoolExecutor(in_flight) as pool:
        waiting: dict[Future[None], Request] = {}
        for request in requests:
            waiting[pool.submit(_patiently, export, request)] = request
            while len(waiting) >= in_flight:
                yield from _done(waiting)
        while waiting:
            yield from _done(waiting)


def _done(waiting: dict[Future[None], Request]) -> Iterator[Request]:
    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in finished:
        request = waiting.pop(future)
        try:
            future.result()
        except SendError:
            for other in waiting:
                other.cancel()
            raise
        yield request


def _patiently(export: Callable[[Request], None], request: Request) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_WAIT
    while True:
        try:
            return export(request)
        except SendError as error:
            if error.cause is not Cause.BUSY:
                raise
            if time.monotonic() + pause > deadline:
                raise SendError(
                    Cause.BUSY,
                    f"The receiver took nothing for {_PATIENCE_SECONDS} seconds. {error.problem}",
                    "Look at its log.",
                ) from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_WAIT)
