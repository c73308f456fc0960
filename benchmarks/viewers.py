"""Viewers of the page, in a process of their own at the lowest priority: `python -m benchmarks.viewers BASE COUNT`.

They are as browsers on other machines, whose own work is none of the server's. The token is the first line of
standard input. Each has the overview open: told of new data, it renews its figures. A line says that all are connected;
when standard input ends, they end, and the last line says how often they renewed.
"""

import asyncio
import os
import sys

import httpx

NICE = 19


async def look(base: str, count: int, token: str) -> int:
    """Look until standard input ends. Return how often the figures were renewed."""
    limits = httpx.Limits(max_connections=None)
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(
        base_url=base, headers=headers, timeout=120, trust_env=False, limits=limits
    ) as http:
        answer = await http.get("/login", params={"token": token})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise SystemExit(f"The log-in was refused: {answer.status_code}")
        connected = asyncio.Semaphore(0)
        renewed = [0] * count
        viewers = [asyncio.create_task(view(http, connected, renewed, place)) for place in range(count)]
        for _ in viewers:
            await connected.acquire()
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for viewer in viewers:
            viewer.cancel()
        ends = await asyncio.gather(*viewers, return_exceptions=True)
        wrong = [end for end in ends if isinstance(end, Exception)]
        if wrong:
            raise wrong[0]
        return sum(renewed)


async def view(http: httpx.AsyncClient, connected: asyncio.Semaphore, renewed: list[int], place: int) -> None:
    """Be one viewer."""
    async with http.stream("GET", "/live", timeout=None) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("retry:"):
                connected.release()
            if line == "event: fresh":
                (await http.get("/part/now")).raise_for_status()
                renewed[place] += 1


if __name__ == "__main__":
    os.nice(NICE)
    print(asyncio.run(look(sys.argv[1], int(sys.argv[2]), sys.stdin.readline().strip())), flush=True)
