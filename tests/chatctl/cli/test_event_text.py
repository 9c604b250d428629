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
            "an earlier message to b\\x1bb (“hi\\nyou”) had already been delivered",
        ),
        (
            Delivered(OutgoingBroadcast("x" * 50, "r1"), 7, duplicate=False),
            f"an earlier message to everyone (“{'x' * 40}…”) was delivered now",
        ),
        (
            Undelivered(HI, Error("no_such_user", "there is no b\x1bb"), is_kept=False),
            "an earlier message to b\\x1bb (“hi\\nyou”) was refused: there is no b\\x1bb",
        ),
        (
            Undelivered(HI, FULL, is_kept=True),
            "an earlier message to b\\x1bb (“hi\\nyou”) was refused: the disk is full; "
            "it will be sent again next time",
        ),
        (
            LogStartedOver("b"),
            "the server has started a new log; earlier messages may be missing",
        ),
        (
            LogStartedOver("b", 7),
            "the server lost messages after number 7; the messages it has follow",
        ),
        (
            Gap(5),
            "the server no longer keeps messages before number 5; you missed some",
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
    assert str(overflow) == "more earlier messages: 2 delivered, 1 refused"


@pytest.mark.parametrize(
    ("count", "messages", "them"), [(1, "1 message is", "it"), (12, "12 messages are", "them")]
)
def test_how_many_wait_is_reported_with_whose_they_are(
    count: int, messages: str, them: str
) -> None:
    assert (
        describe_unacknowledged(count, "ann")
        == f"{messages} not acknowledged yet; the next login as ann sends {them}"
    )
