"""Connections and files that the process may have open."""

import asyncio
import resource
import socket
import subprocess
import sys

import pytest

from receiver.metrics import Metrics
from receiver.otlp_grpc import OtlpGrpc
from receiver.senders import Senders
from tests.server import ROOT, eventually

_MIB = 1 << 20
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What an HTTP/2 client says first: the preface, and its settings, which are empty."""


def test_a_connection_too_many_is_closed_and_no_other() -> None:
    """Three are served; others are closed at once, and there is room again when one of the three goes."""

    async def run() -> None:
        metrics = Metrics()
        senders = Senders(lambda *_: pytest.fail("no request was sent"), (), metrics, None)
        server = OtlpGrpc(senders, metrics, _MIB, reads=2, timeout_seconds=60, connections=3)
        port = await server.start("127.0.0.1", 0)
        try:
            await asyncio.to_thread(talk, port)
        finally:
            await server.stop(0)

    def talk(port: int) -> None:
        served = []
        for _ in range(3):
            client, answer = connect(port)
            assert answer
            served.append(client)
        for _ in range(5):
            client, answer = connect(port)
            client.close()
            assert answer == b""
        served.pop().close()

        def is_served() -> bool:
            client, answer = connect(port)
            (served.append if answer else socket.socket.close)(client)
            return bool(answer)

        eventually(is_served, 60)
        for client in served:
            client.close()

    def connect(port: int) -> tuple[socket.socket, bytes]:
        client = socket.create_connection(("127.0.0.1", port), timeout=60)
        try:
            client.sendall(_HELLO)
            return client, client.recv(1)
        except ConnectionError:
            return client, b""

    asyncio.run(run())


@pytest.mark.parametrize(("soft", "hard", "holds"), [(256, 1_024, 700), (256, 512, 512), (800, 1_024, 700)])
def test_the_limit_on_open_files_is_raised_as_far_as_may_be(soft: int, hard: int, holds: int) -> None:
    """700 are wanted. A limit that is higher stays, and the answer is no more than was wanted."""
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from telemetry import open_files\n"
        "print(open_files.allow(700), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the machine allows fewer open files")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert [int(word) for word in done.stdout.split()] == [holds, max(soft, min(hard, 700)), hard]
