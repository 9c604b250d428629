"""What people are told about messages of earlier runs."""

import pytest

from chatctl.cli.event_text import MAX_DESCRIBED, Overflow, describe, describe_unacknowledged
from chatctl.client.events import Delivered, Event, LogStartedOver, Undelivered
from common.messages.base import Error
from common.messages.chat import Gap, Outgoing, OutgoingBroadcast, Resumed

HI = Outgoing("b\x1bb", "hi\nyou", "r1")
FULL = Error("storage_failed", "the disk is full", ref="r1")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            Delivered(HI, 7, duplicate=True),
            "the message to b\\x1bb, “hi\\nyou”, of before was not acknowledged; "
            "it had arrived before",
        ),
        (
            Delivered(OutgoingBroadcast("x" * 50, "r1"), 7, duplicate=False),
            f"the message to all, “{'x' * 40}…”, of before was not acknowledged; "
            "it has arrived now",
        ),
        (
            Undelivered(HI, Error("no_such_user", "there is no b\x1bb"), is_kept=False),
            "the message to b\\x1bb, “hi\\nyou”, of before was refused: there is no b\\x1bb",
        ),
        (
            Undelivered(HI, FULL, is_kept=True),
            "the message to b\\x1bb, “hi\\nyou”, of before was refused: the disk is full; "
            "it is kept and sent again next time",
        ),
        (
            LogStartedOver("b"),
            "the server's log started over: messages from before it may be missing",
        ),
        (
            LogStartedOver("b", 7),
            "the server lost some messages after number 7; what it has there follows",
        ),
        (
            Gap(5),
            "messages before number 5 are no longer kept, some were missed",
        ),
        (Resumed(0, 9, gap=True, first=5), None),
        (Resumed(4, 9, gap=False), None),
    ],
)
def test_what_became_of_them_is_one_sentence(event: Event, sentence: str | None) -> None:
    assert describe(event) == sentence


def test_of_many_only_the_first_get_a_sentence_each_and_the_rest_are_counted() -> None:
    overflow = Overflow()
    arrived = Delivered(HI, 7, duplicate=False)
    assert not any(overflow.absorb(arrived) for _ in range(MAX_DESCRIBED))
    assert str(overflow) == ""

    assert overflow.absorb(arrived)
    assert overflow.absorb(Undelivered(HI, FULL, is_kept=True))
    assert overflow.absorb(arrived)
    assert not overflow.absorb(Gap(5))
    assert str(overflow) == "more messages of before: 2 arrived, 1 refused"


@pytest.mark.parametrize(("count", "messages"), [(1, "1 message is"), (12, "12 messages are")])
def test_how_many_wait_is_reported_with_whose_they_are(count: int, messages: str) -> None:
    assert (
        describe_unacknowledged(count, "ann")
        == f"{messages} not acknowledged, and sent when ann is back"
    )
