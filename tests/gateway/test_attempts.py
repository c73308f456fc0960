"""Failed log-ins are slowed, for each address and name, and right ones are not locked out."""

import asyncio

import pytest

from gateway.attempts import FREE, Attempts
from gateway.errors import QueryError, not_allowed


async def fail(attempts: Attempts, address: str, name: str = "alice") -> float:
    """Fail once; return the seconds that the answer is held back, 0 for none."""
    held: list[float] = []
    sleep = asyncio.sleep

    async def recorded(seconds: float) -> None:
        held.append(seconds)
        await sleep(0)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(QueryError):
        patch.setattr(asyncio, "sleep", recorded)
        async with attempts.of(address, name):
            raise not_allowed("no")
    return sum(held)


def test_each_failure_after_the_first_few_is_slower() -> None:
    """Up to a bound; another name and another address are quick meanwhile, and so is the name after a right one."""

    async def use() -> None:
        attempts = Attempts()
        assert [await fail(attempts, "10.0.0.1") for _ in range(FREE)] == [0] * FREE
        first, second = await fail(attempts, "10.0.0.1"), await fail(attempts, "10.0.0.1")
        assert 0.2 < first < second
        assert await fail(attempts, "10.0.0.1", "bob") == 0
        assert await fail(attempts, "10.0.0.2") == 0
        async with attempts.of("10.0.0.1", "alice"):
            pass
        assert await fail(attempts, "10.0.0.1") == 0

    asyncio.run(use())


def test_attempts_at_a_time_are_looked_at_in_turn() -> None:
    """Many connections guess no faster than one, and too many at a time are refused unread."""

    async def use() -> None:
        attempts = Attempts()
        for _ in range(FREE):
            await fail(attempts, "10.0.0.1")
        read = 0

        async def guess() -> int:
            nonlocal read
            try:
                async with attempts.of("10.0.0.1", "alice"):
                    read += 1
                    raise not_allowed("no")
            except QueryError as error:
                return error.code

        tasks = [asyncio.create_task(guess()) for _ in range(50)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert read == 1
        assert sum(task.done() and task.result() == 202 for task in tasks) == 42
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(use())


def test_a_network_of_ipv6_is_one_address_and_quiet_time_forgets() -> None:
    """A customer has far more addresses than could be remembered."""

    async def use() -> None:
        now = [0.0]
        attempts = Attempts(lambda: now[0])
        for number in range(FREE):
            await fail(attempts, f"2001:db8::{number}")
        assert await fail(attempts, "2001:db8::ffff") > 0.2
        now[0] = 1000.0
        assert await fail(attempts, "2001:db8::ffff") == 0

    asyncio.run(use())
