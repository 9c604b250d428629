"""One planner, told by hand what others say."""

from random import Random

import pytest
from bitarray import bitarray

from chatctl.share.planner.actions import FetchManifest, ProtocolViolationError, Send
from chatctl.share.planner.planner import Planner
from common.manifest import PIECE_SIZE, Layout
from common.messages.base import Message
from common.messages.peer_wire import (
    Bitfield,
    Cancel,
    DontHave,
    HasManifest,
    Have,
    Piece,
    Reject,
    RequestAny,
    RequestPiece,
    Status,
)

DIGEST = {name: f"{name:0>64}" for name in "1234"}
LAYOUT = Layout([4 * PIECE_SIZE])


class PlannerHarness:
    """A planner for peer "1"; the test plays the other peers, and moves the time."""

    def __init__(self, *others: str, held: int = 0) -> None:
        self.now = 0.0
        self.planner = Planner("1", DIGEST["1"], LAYOUT, random=Random(1))
        for other in others:
            here = bitarray(len(LAYOUT))
            for index in range(held):
                here[index] = True
            self.planner.add_owner(other, DIGEST[other], LAYOUT, here, 0.0)
            self.planner.add_peer(other, 0.0)
        self.take()

    def receive(self, peer_id: str, *messages: Message) -> None:
        for message in messages:
            self.planner.receive(peer_id, message, self.now)

    def agree_on_owner(self, peer_id: str, *owners: str, unsent: bool = False) -> None:
        """Have a peer know our files, and those of others, and say how it fares."""
        self.receive(peer_id, *(HasManifest(owner, DIGEST[owner]) for owner in ("1", *owners)))
        self.receive(peer_id, status(unsent=unsent))

    def take(self) -> dict[str, list[Message]]:
        """Return what goes to whom."""
        queued: dict[str, list[Message]] = {}
        for action in self.planner.take_actions(self.now):
            if isinstance(action, Send):
                queued.setdefault(action.peer_id, []).append(action.message)
        return queued

    def pass_time(self, seconds: float) -> dict[str, list[Message]]:
        """Wake the planner as often as it asks for; return what it says."""
        queued: dict[str, list[Message]] = {}
        end = self.now + seconds
        while (due := self.planner.next_deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self.planner.on_timer(self.now)
            for peer_id, messages in self.take().items():
                queued.setdefault(peer_id, []).extend(messages)
        self.now = end
        return queued


def status(got: int = 0, *, unsent: bool = False, complete: bool = False) -> Status:
    return Status(got, 0.0, unsent, complete)


def of(kind: type[Message], messages: list[Message]) -> list[Message]:
    return [message for message in messages if isinstance(message, kind)]


def test_a_manifest_that_only_the_other_side_knows_is_to_be_fetched() -> None:
    harness = PlannerHarness("2")
    harness.receive("2", HasManifest("3", DIGEST["3"]))
    assert harness.planner.take_actions(0.0) == [FetchManifest("2", "3", DIGEST["3"])]


def test_while_an_owner_has_unsent_pieces_it_chooses_which_to_send() -> None:
    harness = PlannerHarness("2")
    harness.agree_on_owner("2", "2", unsent=True)
    requested = harness.take()["2"]
    assert of(RequestAny, requested) == [RequestAny()] * 4
    assert of(RequestPiece, requested) == []


def test_an_owner_without_unsent_pieces_is_asked_for_each_once() -> None:
    harness = PlannerHarness("2")
    harness.agree_on_owner("2", "2")
    requests = of(RequestPiece, harness.take()["2"])
    assert sorted(
        request.index for request in requests if isinstance(request, RequestPiece)
    ) == list(range(4))


def test_an_owner_gets_the_bitfield_of_its_pieces_before_any_request() -> None:
    harness = PlannerHarness("2", held=2)
    harness.agree_on_owner("2", "2", unsent=True)
    queued = harness.take()["2"]
    (bitfield,) = of(Bitfield, queued)
    assert bitfield == Bitfield("2", 0, b"\xc0")
    assert queued.index(bitfield) < queued.index(RequestAny())
    assert of(RequestAny, queued) == [RequestAny()] * 2


def test_what_others_have_from_before_is_not_unsent() -> None:
    harness = PlannerHarness("2")
    harness.agree_on_owner("2")
    harness.receive("2", Bitfield("1", 0, b"\xe0"), RequestAny(), RequestAny())
    queued = harness.take()["2"]
    assert of(Piece, queued) == [Piece("1", 3, PIECE_SIZE)]
    assert of(Reject, queued) == [Reject()]


def test_an_unsent_piece_goes_to_one_and_a_second_copy_only_once_the_first_has_spread() -> None:
    harness = PlannerHarness("2", "3")
    for peer_id in "23":
        harness.agree_on_owner(peer_id)
    harness.receive("2", Bitfield("1", 0, b"\xe0"), RequestAny())
    assert of(Piece, harness.take()["2"]) == [Piece("1", 3, PIECE_SIZE)]
    harness.receive("3", RequestPiece("1", 3))
    assert of(Piece, harness.pass_time(5.0).get("3", [])) == []
    harness.receive("2", status(got=1))
    assert of(Piece, harness.pass_time(0.1).get("3", [])) == []
    assert of(Piece, harness.pass_time(0.2)["3"]) == [Piece("1", 3, PIECE_SIZE)]


def test_an_unsent_piece_that_did_not_arrive_goes_to_who_asked_for_a_copy() -> None:
    harness = PlannerHarness("2", "3")
    for peer_id in "23":
        harness.agree_on_owner(peer_id)
    harness.receive("2", Bitfield("1", 0, b"\xe0"), RequestAny())
    harness.take()
    harness.receive("3", RequestPiece("1", 3))
    harness.planner.remove_peer("2", 0.0)
    assert of(Piece, harness.take()["3"]) == [Piece("1", 3, PIECE_SIZE)]


def test_a_request_for_a_copy_can_be_cancelled() -> None:
    harness = PlannerHarness("2", "3")
    for peer_id in "23":
        harness.agree_on_owner(peer_id)
    harness.receive("2", RequestAny())
    (sent,) = of(Piece, harness.take()["2"])
    assert isinstance(sent, Piece)
    harness.receive("3", RequestPiece("1", sent.index), Cancel("1", sent.index))
    assert of(Reject, harness.take()["3"]) == [Reject("1", sent.index)]
    harness.receive("2", status(got=1))
    assert "3" not in harness.pass_time(5.0)


def test_what_is_acquired_is_announced_once_no_unsent_pieces_are_asked_for() -> None:
    harness = PlannerHarness("2", "3")
    harness.agree_on_owner("2", "2")
    harness.agree_on_owner("3", "2")
    harness.take()
    harness.receive("3", *[RequestAny()] * 3)
    harness.take()
    harness.receive("2", Piece("2", 0, PIECE_SIZE))
    assert harness.planner.piece_received("2", "2", 0, harness.now)
    harness.planner.piece_verified("2", 0, harness.now)
    assert of(Have, harness.pass_time(1.0).get("3", [])) == []
    queued = []
    for got in (1, 2, 3):
        harness.receive("3", status(got=got))
        queued += harness.pass_time(0.2).get("3", [])
    assert of(Have, queued) == [Have({"2": [0]})]


def test_a_request_that_is_expected_late_from_one_is_stolen_by_another() -> None:
    harness = PlannerHarness("2", "3")
    harness.agree_on_owner("2", "2")
    harness.agree_on_owner("3", "2")
    harness.take()  # "2" is asked for all
    harness.now = 3.0
    harness.receive("3", Have({"2": [0, 1, 2, 3]}))
    queued = harness.take()
    assert of(Cancel, queued["2"])
    assert len(of(RequestPiece, queued["3"])) == len(of(Cancel, queued["2"]))


def test_the_requests_to_a_peer_that_left_go_to_others() -> None:
    harness = PlannerHarness("2", "3")
    harness.agree_on_owner("2", "2")
    harness.agree_on_owner("3", "2")
    harness.receive("3", Have({"2": [0, 1, 2, 3]}))
    before = harness.take()
    assert of(RequestPiece, before["2"])
    harness.planner.remove_peer("2", 0.0)
    requests = of(RequestPiece, [*before.get("3", []), *harness.take()["3"]])
    assert sorted(
        request.index for request in requests if isinstance(request, RequestPiece)
    ) == list(range(4))


def test_a_piece_that_is_corrupt_is_announced_as_lost_and_asked_for_again() -> None:
    harness = PlannerHarness("2", "3", held=4)
    harness.agree_on_owner("2", "2")
    harness.agree_on_owner("3", "2")
    harness.take()
    harness.planner.piece_lost("2", 1, 0.0)
    queued = harness.take()
    assert DontHave("2", 1) in queued["3"]
    assert RequestPiece("2", 1) in queued["2"]


def test_a_piece_is_requested_again_where_it_was_cancelled_for_a_peer_that_left() -> None:
    harness = PlannerHarness("2", "3")
    harness.agree_on_owner("2", "2")
    harness.take()
    harness.agree_on_owner("3", "2")
    harness.receive("3", Bitfield("2", 0, b"\xf0"))
    cancelled = of(Cancel, harness.pass_time(1.0)["2"])
    assert cancelled
    harness.planner.remove_peer("3", harness.now)
    assert of(RequestPiece, harness.take().get("2", [])) == []
    for each in cancelled:
        assert isinstance(each, Cancel)
        harness.receive("2", Reject(each.owner, each.index))
    requested = of(RequestPiece, harness.take()["2"])
    assert len(requested) == len(cancelled)


def test_a_piece_that_cannot_be_read_is_rejected_and_not_sent_to_others() -> None:
    harness = PlannerHarness("2", "3")
    for peer_id in "23":
        harness.agree_on_owner(peer_id)
    harness.receive("2", Bitfield("1", 0, b"\xf0"), RequestPiece("1", 0))
    assert of(Piece, harness.take()["2"]) == [Piece("1", 0, PIECE_SIZE)]
    harness.planner.piece_unreadable("2", "1", 0, 0.0)
    harness.receive("3", RequestPiece("1", 0))
    queued = harness.take()
    assert Reject("1", 0) in queued["2"]
    assert Reject("1", 0) in queued["3"]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([RequestPiece("3", 0)], "whose manifest not both sides have"),
        ([HasManifest("2", DIGEST["2"]), RequestPiece("2", 4)], "which has 4 pieces"),
        ([HasManifest("2", DIGEST["2"]), HasManifest("2", DIGEST["2"])], "manifest of '2' twice"),
        ([HasManifest("2", DIGEST["2"]), Piece("2", 0, 1)], "instead of 65536"),
        ([HasManifest("1", DIGEST["1"]), Piece("1", 0, PIECE_SIZE)], "was not requested"),
        ([Reject()], "a request that was not made"),
        ([status(got=1)], "acknowledges 1 pieces"),
        ([HasManifest("1", DIGEST["1"]), *[RequestAny()] * 65], "more than 64 requests"),
        (
            [HasManifest("1", DIGEST["1"]), RequestPiece("1", 0), RequestPiece("1", 0)],
            "again before the first answer",
        ),
    ],
)
def test_an_invalid_message_is_a_protocol_violation(messages: list[Message], error: str) -> None:
    harness = PlannerHarness("2")
    with pytest.raises(ProtocolViolationError, match=error):
        harness.receive("2", *messages)
