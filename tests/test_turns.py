"""Who is stored next: a client whose requests take long holds up itself and no other."""

import asyncio
import threading
import time

from otlp.signals import Survey
from receiver.signal_queue import Batch, QueueLimits, SignalQueue, Waiting
from receiver.turns import BESIDE_SLOW, SLOW_SECONDS, BySize, Clients, Manner, Turns, may_begin
from tests.server import eventually

HUGE = 1 << 40
LIMITS = QueueLimits(batch_bytes=1 << 20, batch_records=50_000, batch_age_seconds=0, queue_bytes=HUGE)
SMALL, LARGE = b"x", b"x" * (100 << 10)
GOOD, NEW, COSTLY = b"good", b"new", b"costly"


def known() -> Clients:
    clients = Clients()
    clients.learn([GOOD], 0.001, 1000)
    clients.learn([COSTLY], 1.0, 1000)
    return clients


def queue_of(*requests: tuple[bytes, bytes, int]) -> SignalQueue:
    queue = SignalQueue(LIMITS)
    for client, body, records in requests:
        queue.add(Waiting(body, Survey({"otel_logs": records}), time.monotonic(), client=client))
    return queue


def taken(requests: Batch) -> list[bytes]:
    return [one.client for one in requests]


async def batches(queue: SignalQueue, clients: Clients) -> list[tuple[list[bytes], bool]]:
    found = []
    while True:
        batch = queue.take(clients)
        if not batch:
            return found
        found.append((taken(batch), batch[0].is_alone))


def test_clients_are_served_in_turn() -> None:
    """One that sends much does not come before another that sends little."""

    async def play() -> None:
        queue = queue_of(*[(GOOD, LARGE, 1)] * 30, (b"other", SMALL, 1))
        clients = known()
        clients.learn([b"other"], 0.0, 1)
        batch = queue.take(clients)
        assert taken(batch)[:3] == [GOOD, b"other", GOOD]

    asyncio.run(play())


def test_costly_requests_are_stored_alone_and_one_at_a_time() -> None:
    """So are large ones of clients that are not known, and those of very many records; small ones are taken along."""

    async def play() -> None:
        requests = [
            (COSTLY, SMALL, 1),
            (NEW, LARGE, 1),
            (GOOD, SMALL, 1),
            (b"small", SMALL, 1),
            (GOOD, SMALL, 20_000),
        ]
        assert await batches(queue_of(*requests), known()) == [
            ([GOOD, b"small"], False),
            ([COSTLY], True),
            ([NEW], True),
            ([GOOD], True),
        ]
        queue = queue_of(*requests)
        queue.take(known())
        assert queue.take(known(), is_one_alone=True) == []

    asyncio.run(play())


def test_few_bytes_of_unknown_clients_are_stored_beside_others() -> None:
    """What they cost is not known: most of them wait for the next batch."""

    async def play() -> None:
        body = b"x" * (30 << 10)
        queue = queue_of(*[(b"new %d" % number, body, 1) for number in range(5)], (GOOD, SMALL, 1))
        batch = queue.take(known())
        assert taken(batch) == [b"new 0", b"new 1", GOOD]

    asyncio.run(play())


def test_what_a_client_cost_is_learned() -> None:
    """Of several in a batch that cost much, the ones that were not known; a cheap batch makes up for it."""
    clients = Clients()
    of = dict.fromkeys((GOOD, NEW), clients.manner)

    def manner(client: bytes) -> Manner:
        return of[client](client, is_small=False, is_many=False)

    clients.learn([GOOD], 0.0, 1000)
    clients.learn([GOOD, NEW], 1.0, 1000)
    assert (manner(GOOD), manner(NEW)) == (Manner.TOGETHER, Manner.ALONE)
    clients.learn([NEW], 0.0, 1000)
    assert manner(NEW) is Manner.TOGETHER
    clients.learn([GOOD], 1.0, 16 << 20)  # much for one request, and not for so many bytes
    assert manner(GOOD) is Manner.TOGETHER
    clients.learn([GOOD], 0.6, 4 << 20)
    assert manner(GOOD) is Manner.ALONE


def test_slow_work_gives_up_its_place() -> None:
    """Others begin beside it, up to a bound."""
    now = time.monotonic()
    slow = now - 2 * SLOW_SECONDS
    assert may_begin([], 1)
    assert not may_begin([now], 1)
    assert may_begin([slow], 1)
    assert not may_begin([slow] * (BESIDE_SLOW + 1), 1)
    turns, begun, over = Turns(1), [], threading.Event()

    def work() -> None:
        with turns.turn(is_alone=False):
            begun.append(1)
            over.wait(180)

    threads = [threading.Thread(target=work) for _ in range(BESIDE_SLOW + 2)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(begun) == BESIDE_SLOW + 1)
    with turns.turn(is_alone=True):
        assert len(begun) == BESIDE_SLOW + 1
    over.set()
    for thread in threads:
        thread.join()
    assert len(begun) == BESIDE_SLOW + 2


def test_the_smallest_work_is_next() -> None:
    """A small request in JSON does not wait for large ones that came before it; one that is given up costs no place."""

    async def play() -> None:
        places, order, over = BySize(1), list[int](), asyncio.Event()

        async def work(size: int) -> None:
            async with places.turn(size):
                order.append(size)
                await over.wait()

        first = asyncio.create_task(work(9))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(work(size)) for size in (8, 7, 1, 5)]
        await asyncio.sleep(0)
        rest[1].cancel()
        over.set()
        await asyncio.gather(first, *rest, return_exceptions=True)
        assert order == [9, 1, 5, 8]

    asyncio.run(play())
