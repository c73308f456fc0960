"""A sender's rate: its burst, its debt, and what it may send over time."""

from receiver.rate import BURST_SECONDS, Rate


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_quiet_sender_may_send_a_burst_and_then_its_rate() -> None:
    """Ten seconds' worth at once; after that as much as time brings."""
    clock = Clock()
    rate = Rate(100, clock)
    assert [rate.pay(100) for _ in range(BURST_SECONDS)] == [0] * BURST_SECONDS
    assert rate.pay(100) == 1
    clock.now += 2
    assert [rate.pay(100) for _ in range(3)] == [0, 0, 1]


def test_a_request_larger_than_the_burst_passes_and_is_paid_for_afterwards() -> None:
    """No size is refused for ever; the sender waits until the debt is paid."""
    clock = Clock()
    rate = Rate(100, clock)
    assert rate.pay(6_000) == 0
    assert (rate.wait_seconds(), rate.pay(1)) == (50, 50)
    clock.now += 49.5
    assert rate.wait_seconds() == 1
    clock.now += 1
    assert (rate.wait_seconds(), rate.pay(1)) == (0, 0)


def test_credit_does_not_grow_past_the_burst() -> None:
    """A year's silence buys ten seconds' worth."""
    clock = Clock()
    rate = Rate(100, clock)
    clock.now += 365 * 86_400
    assert [rate.pay(500) for _ in range(3)] == [0, 0, 1]


def test_a_refused_request_costs_nothing() -> None:
    """Asking does not prolong the wait."""
    clock = Clock()
    rate = Rate(100, clock)
    rate.pay(1_100)
    assert [rate.pay(1_000) for _ in range(5)] == [1] * 5
    clock.now += 1.1
    assert rate.pay(1_000) == 0
