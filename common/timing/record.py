"""What one side of a timestamp exchange keeps of it.

The four timestamps of RFC 5905 s. 8 come together when a stamp of the other side arrives:

====  ============================================  ==============
T1    this side sent the stamp that was `heard`     this clock
T2    the other side heard it (`heard_at`)          other clock
T3    the other side sent its own stamp (`sent`)    other clock
T4    that stamp arrived here                       this clock
====  ============================================  ==============

Each clock is read as wall time at the start plus monotonic time since, so that a step of the wall
clock during a run does not look like a delay. All times are ns since the Unix epoch.
"""

from typing import NamedTuple

from msgspec import Struct, field


class ReceivedStamp(Struct, frozen=True, gc=False):
    """Stamp `n` (from 1) of the other side, and when it came in.

    `heard` is the number of this side's newest stamp that the other side had when it sent this one,
    0 while it had none; `last_received_at_ns` then means nothing.
    """

    n: int
    sent_ns: int
    heard: int
    last_received_at_ns: int
    arrived_ns: int


class FourTimestamps(NamedTuple):
    """T1 to T4 of RFC 5905 s. 8, in ns."""

    t1: int
    t2: int
    t3: int
    t4: int


class ExchangeRecord(Struct):
    """The record of one exchange, from one side.

    `interval_ns` is the distance of the deadlines and `expected` the stamps to be sent each way.
    ``sent_ns[n - 1]`` says when this side's stamp `n` was sent. `send_call_ns` (how long the call
    that sent it took) and `timer_error_ns` (how long after its deadline it was sent) hold one
    figure per stamp that was sent. Numbers count through a run: whoever continues one on a new
    connection goes on counting, on both sides.
    """

    interval_ns: int
    expected: int
    sent_ns: list[int] = field(default_factory=list)
    arrivals: list[ReceivedStamp] = field(default_factory=list)
    send_call_ns: list[int] = field(default_factory=list)
    timer_error_ns: list[int] = field(default_factory=list)

    def four_timestamps(self, arrival: ReceivedStamp) -> FourTimestamps | None:
        """Return the timestamps that meet in `arrival`; None when it says that none was heard.

        Raises ValueError when it says that a stamp was heard which this side never sent.
        """
        if not arrival.heard:
            return None
        check_last_received(arrival, len(self.sent_ns))
        sent_ns = self.sent_ns[arrival.heard - 1]
        return FourTimestamps(
            sent_ns, arrival.last_received_at_ns, arrival.sent_ns, arrival.arrived_ns
        )


def check_last_received(arrival: ReceivedStamp, sent: int) -> None:
    """Raise ValueError when the other side says it heard more than the `sent` stamps there are."""
    if not 0 <= arrival.heard <= sent:
        raise ValueError(
            f"stamp {arrival.n} says that stamp {arrival.heard} was heard, but {sent} were sent: "
            "heard is the number of the newest stamp that came in, or 0"
        )
