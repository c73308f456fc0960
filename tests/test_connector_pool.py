"""The open adapters: shared, closed when they are not used, and never while a question uses them."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from connectors import pool as module
from connectors.contract import Adapter
from connectors.pool import Pool


@dataclass
class Made:
    """What the pool opens; it counts what was opened, and closes for a while when told to."""

    opened: list["Closable"] = field(default_factory=list)

    async def open(self) -> Any:
        await asyncio.sleep(0)
        self.opened.append(Closable())
        return self.opened[-1]

    @property
    def closed(self) -> list[bool]:
        return [one.is_closed for one in self.opened]


@dataclass
class Closable:
    is_closed: bool = False

    async def close(self) -> None:
        self.is_closed = True


def test_questions_share_an_adapter_and_one_is_opened_for_all() -> None:
    """Also when they come at the same time."""

    async def use() -> None:
        made, pool = Made(), Pool()

        async def one() -> Adapter:
            async with pool.adapter("a", "1", made.open) as adapter:
                await asyncio.sleep(0)
                return adapter

        assert len(set(map(id, await asyncio.gather(*(one() for _ in range(10)))))) == 1
        assert (made.closed, len(pool)) == ([False], 1)
        await pool.close()
        assert (made.closed, len(pool)) == ([True], 0)

    asyncio.run(use())


def test_a_changed_connection_is_closed_when_its_last_question_ends() -> None:
    """The new one is asked meanwhile; a dropped one ends in the same way."""

    async def use() -> None:
        made, pool = Made(), Pool()
        async with pool.adapter("a", "1", made.open) as old:
            async with pool.adapter("a", "2", made.open) as new:
                assert old is not new
            assert made.closed == [False, False]
        assert made.closed == [True, False]
        async with pool.adapter("a", "2", made.open):
            await pool.drop("a")
            assert made.closed == [True, False]
        assert made.closed == [True, True]

    asyncio.run(use())


def test_what_is_not_used_for_a_while_is_closed() -> None:
    """And the longest unused of too many; one in use stays."""

    async def use() -> None:
        now = [0.0]
        made, pool = Made(), Pool(10, lambda: now[0])
        async with pool.adapter("busy", "1", made.open):
            async with pool.adapter("idle", "1", made.open):
                pass
            now[0] = 9.0
            await pool.close_idle()
            assert made.closed == [False, False]
            now[0] = 10.0
            await pool.close_idle()
            assert made.closed == [False, True]
        for number in range(module.MOST + 5):
            async with pool.adapter(str(number), "1", made.open):
                now[0] += 0.001
        await pool.close_idle()
        assert len(pool) == module.MOST
        await pool.close()
        assert all(made.closed)

    asyncio.run(use())
