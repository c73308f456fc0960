"""SIGKILL at random instants under load, of the receiver and of the server that it writes to."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.load import sending
from tests.faults.proxy import Fault
from tests.faults.report import Line
from tests.faults.stage import PATIENCE_SECONDS, Play, pause
from tests.server import eventually

# How often a start is killed, too.
_WHILE_STARTING = 0.1
# While the receiver is killed its server is well, answers with errors, or hides its answers.
_BESIDES = (Fault.NONE, Fault.NONE, Fault.CUT_AFTER, Fault.ANSWER_503)


@dataclass(frozen=True, slots=True)
class Rounds:
    """The number of kills, their chances, their time limit, and the function to call for each."""

    times: int
    seed: int
    most_seconds: float = math.inf
    told: Callable[[int, int], None] = lambda *_: None


def of_the_receiver(play: Play, rounds: Rounds) -> Line:
    """Kill it, also while it starts; clients go on, and each start takes up what the one before left."""

    def kill(chance: random.Random) -> None:
        play.kill()
        if chance.random() < _WHILE_STARTING:
            play.launch()
            pause(chance.uniform(0.1, 2.0))
            play.kill()
        play.start()
        play.proxy.fail(chance.choice(_BESIDES), share=0.5)

    return _again(play, rounds, "the receiver is killed", kill)


def of_the_server(play: Play, rounds: Rounds) -> Line:
    """Kill the server that it writes to, and start it again."""

    def kill(_: random.Random) -> None:
        play.clickhouse.process.kill()
        play.clickhouse.start()

    return _again(play, rounds, "the server is killed", kill)


def _again(play: Play, rounds: Rounds, name: str, kill: Callable[[random.Random], None]) -> Line:
    chance = random.Random(rounds.seed)
    end, killed = time.monotonic() + rounds.most_seconds, 0
    with sending(play):
        while killed < rounds.times and time.monotonic() < end:
            # Not before it is under load again: a kill while nothing is under way proves nothing.
            before = play.ledger.acknowledged
            eventually(lambda before=before: play.ledger.acknowledged > before, PATIENCE_SECONDS)
            pause(chance.uniform(0.0, 1.0))
            kill(chance)
            killed += 1
            rounds.told(killed, rounds.times)
        play.proxy.fail(Fault.NONE)
    return Line(name, killed, play.settle())
