"""One planner, told by hand what others say."""

from random import Random

import pytest

from chatctl.swarm.orders import Learn, Send, SwarmFault
from chatctl.swarm.planner import Planner
from common.messages.base import Message
from common.messages.swarm import (
    Cancel,
    RequestPiece,
    Have,
    Bitfield,
    HasManifest,
    DontHave,
    RequestAny,
    Reject,
    Piece,
    Status,
)
from common.pieces import PIECE, PieceSet, Layout

DIGEST = {name: f"{name:0>64}" for name in "1234"}
LAYOUT = Layout([4 * PIECE])


class Desk:
    """A planner for peer "1", whose neighbours the test plays; time stands still unless told."""

    def __init__(self, *others: str, held: int = 0) -> None:
        self.now = 0.0
        self.planner = Planner("1", DIGEST["1"], LAYOUT, random=Random(1))
        for other in others:
            here = PieceSet(len(LAYOUT))
            for index in range(held):
                here.add(index)
            self.planner.know(other, DIGEST[other], LAYOUT, here, 0.0)
            self.planner.join(other, 0.0)
        self.take()

    def tell(self, peer: str, *messages: Message) -> None:
        for message in messages:
            self.planner.receive(peer, message, self.now)

    def agree(self, peer: str, *owners: str, fresh: bool = False) -> None:
        """Have a peer know our files, and those of others, and say how it fares."""
        self.tell(peer, *(HasManifest(owner, DIGEST[owner]) for owner in ("1", *owners)))
        self.tell(peer, state(fresh=fresh))

    def take(self) -> dict[str, list[Message]]:
        """Return what goes to whom."""
        said: dict[str, list[Message]] = {}
        for order in self.planner.take_orders(self.now):
            if isinstance(order, Send):
                said.setdefault(order.peer, []).append(order.message)
        return said

    def pass_time(self, seconds: float) -> dict[str, list[Message]]:
        """Wake the planner as often as it asks for; return what it says."""
        said: dict[str, list[Message]] = {}
        end = self.now + seconds
        while (due := self.planner.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self.planner.wake(self.now)
            for peer, messages in self.take().items():
                said.setdefault(peer, []).extend(messages)
        self.now = end
        return said


def state(got: int = 0, *, fresh: bool = False, complete: bool = False) -> Status:
    return Status(got, 0.0, fresh, complete)


def of(kind: type[Message], messages: list[Message]) -> list[Message]:
    return [message for message in messages if isinstance(message, kind)]


def test_a_manifest_that_only_the_other_side_knows_is_to_be_learnt() -> None:
    desk = Desk("2")
    desk.tell("2", HasManifest("3", DIGEST["3"]))
    assert desk.planner.take_orders(0.0) == [Learn("2", "3", DIGEST["3"])]


def test_while_an_owner_has_fresh_pieces_it_chooses_which_to_send() -> None:
    desk = Desk("2")
    desk.agree("2", "2", fresh=True)
    asked = desk.take()["2"]
    assert of(RequestAny, asked) == [RequestAny()] * 4
    assert of(RequestPiece, asked) == []


def test_an_owner_without_fresh_pieces_is_asked_for_each_once() -> None:
    desk = Desk("2")
    desk.agree("2", "2")
    gets = of(RequestPiece, desk.take()["2"])
    assert sorted(get.index for get in gets if isinstance(get, RequestPiece)) == [0, 1, 2, 3]


def test_an_owner_is_told_what_is_held_of_its_pieces_before_it_is_asked_for_new_ones() -> None:
    desk = Desk("2", held=2)
    desk.agree("2", "2", fresh=True)
    said = desk.take()["2"]
    (holding,) = of(Bitfield, said)
    assert holding == Bitfield("2", 0, b"\xc0")
    assert said.index(holding) < said.index(RequestAny())
    assert of(RequestAny, said) == [RequestAny()] * 2


def test_what_others_hold_from_before_is_not_fresh() -> None:
    desk = Desk("2")
    desk.agree("2")
    desk.tell("2", Bitfield("1", 0, b"\xe0"), RequestAny(), RequestAny())
    said = desk.take()["2"]
    assert of(Piece, said) == [Piece("1", 3, PIECE)]
    assert of(Reject, said) == [Reject()]


def test_a_fresh_piece_goes_to_one_and_a_second_copy_only_once_the_first_has_spread() -> None:
    desk = Desk("2", "3")
    for peer in "23":
        desk.agree(peer)
    desk.tell("2", Bitfield("1", 0, b"\xe0"), RequestAny())
    assert of(Piece, desk.take()["2"]) == [Piece("1", 3, PIECE)]
    desk.tell("3", RequestPiece("1", 3))
    assert of(Piece, desk.pass_time(5.0).get("3", [])) == []
    desk.tell("2", state(got=1))
    assert of(Piece, desk.pass_time(0.1).get("3", [])) == []
    assert of(Piece, desk.pass_time(0.2)["3"]) == [Piece("1", 3, PIECE)]


def test_a_fresh_piece_that_did_not_arrive_goes_to_who_asked_for_a_copy() -> None:
    desk = Desk("2", "3")
    for peer in "23":
        desk.agree(peer)
    desk.tell("2", Bitfield("1", 0, b"\xe0"), RequestAny())
    desk.take()
    desk.tell("3", RequestPiece("1", 3))
    desk.planner.leave("2", 0.0)
    assert of(Piece, desk.take()["3"]) == [Piece("1", 3, PIECE)]


def test_a_get_for_a_copy_can_be_taken_back() -> None:
    desk = Desk("2", "3")
    for peer in "23":
        desk.agree(peer)
    desk.tell("2", RequestAny())
    (sent,) = of(Piece, desk.take()["2"])
    assert isinstance(sent, Piece)
    desk.tell("3", RequestPiece("1", sent.index), Cancel("1", sent.index))
    assert of(Reject, desk.take()["3"]) == [Reject("1", sent.index)]
    desk.tell("2", state(got=1))
    assert "3" not in desk.pass_time(5.0)


def test_what_is_gained_is_told_once_no_fresh_pieces_are_asked_for() -> None:
    desk = Desk("2", "3")
    desk.agree("2", "2")
    desk.agree("3", "2")
    desk.take()
    desk.tell("3", *[RequestAny()] * 3)
    desk.take()
    desk.tell("2", Piece("2", 0, PIECE))
    assert desk.planner.arrived("2", "2", 0, desk.now)
    desk.planner.verified("2", 0, desk.now)
    assert of(Have, desk.pass_time(1.0).get("3", [])) == []
    said = []
    for got in (1, 2, 3):
        desk.tell("3", state(got=got))
        said += desk.pass_time(0.2).get("3", [])
    assert of(Have, said) == [Have({"2": [0]})]


def test_what_is_expected_late_from_one_is_taken_over_by_another() -> None:
    desk = Desk("2", "3")
    desk.agree("2", "2")
    desk.agree("3", "2")
    desk.take()  # "2" is asked for all
    desk.now = 3.0
    desk.tell("3", Have({"2": [0, 1, 2, 3]}))
    said = desk.take()
    assert of(Cancel, said["2"])
    assert len(of(RequestPiece, said["3"])) == len(of(Cancel, said["2"]))


def test_who_leaves_is_asked_no_more_and_others_are_instead() -> None:
    desk = Desk("2", "3")
    desk.agree("2", "2")
    desk.agree("3", "2")
    desk.tell("3", Have({"2": [0, 1, 2, 3]}))
    before = desk.take()
    assert of(RequestPiece, before["2"])
    desk.planner.leave("2", 0.0)
    gets = of(RequestPiece, [*before.get("3", []), *desk.take()["3"]])
    assert sorted(get.index for get in gets if isinstance(get, RequestPiece)) == [0, 1, 2, 3]


def test_a_piece_that_is_spoilt_is_told_and_asked_for_again() -> None:
    desk = Desk("2", "3", held=4)
    desk.agree("2", "2")
    desk.agree("3", "2")
    desk.take()
    desk.planner.lost("2", 1, 0.0)
    said = desk.take()
    assert DontHave("2", 1) in said["3"]
    assert RequestPiece("2", 1) in said["2"]


def test_a_piece_that_cannot_be_read_is_denied_and_not_sent_to_others() -> None:
    desk = Desk("2", "3")
    for peer in "23":
        desk.agree(peer)
    desk.tell("2", Bitfield("1", 0, b"\xf0"), RequestPiece("1", 0))
    assert of(Piece, desk.take()["2"]) == [Piece("1", 0, PIECE)]
    desk.planner.unreadable("2", "1", 0, 0.0)
    desk.tell("3", RequestPiece("1", 0))
    said = desk.take()
    assert Reject("1", 0) in said["2"]
    assert Reject("1", 0) in said["3"]


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([RequestPiece("3", 0)], "whom not both sides know"),
        ([HasManifest("2", DIGEST["2"]), RequestPiece("2", 4)], "who has 4 pieces"),
        ([HasManifest("2", DIGEST["2"]), HasManifest("2", DIGEST["2"])], "says again"),
        ([HasManifest("2", DIGEST["2"]), Piece("2", 0, 1)], "should have 65536"),
        ([HasManifest("1", DIGEST["1"]), Piece("1", 0, PIECE)], "not asked for"),
        ([Reject()], "not asked for"),
        ([state(got=1)], "acknowledges 1 pieces"),
        ([HasManifest("1", DIGEST["1"]), *[RequestAny()] * 65], "more than 64 requests"),
        (
            [HasManifest("1", DIGEST["1"]), RequestPiece("1", 0), RequestPiece("1", 0)],
            "again before the first answer",
        ),
    ],
)
def test_what_makes_no_sense_is_a_fault(messages: list[Message], fault: str) -> None:
    desk = Desk("2")
    with pytest.raises(SwarmFault, match=fault):
        desk.tell("2", *messages)
