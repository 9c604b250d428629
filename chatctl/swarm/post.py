"""What goes out at the end of a turn: to each neighbour what there is for it, in one go."""

from typing import Final

from chatctl.swarm.gossip import Gossip
from chatctl.swarm.ledger import Ledger
from chatctl.swarm.neighbour import Neighbour
from chatctl.swarm.orders import Send
from chatctl.swarm.uploads import Uploads
from common.messages.swarm import Status

_MAX_BACKLOG: Final = 1e6


class Post:
    """Empties the outboxes. Acknowledgements, backlog and gains ride on what there is to say."""

    def __init__(
        self,
        ledger: Ledger,
        uploads: Uploads,
        gossip: Gossip,
        neighbours: dict[str, Neighbour],
    ) -> None:
        self._ledger = ledger
        self._uploads = uploads
        self._gossip = gossip
        self._neighbours = neighbours
        self.speakers: dict[Neighbour, None] = {}
        """Neighbours to which there is something to say."""
        self._told_all = (False, False)

    def collect(self) -> list[Send]:
        """Return what goes out, and forget it."""
        now_all = self._uploads.has_fresh, self._ledger.is_complete
        if now_all != self._told_all:
            self._told_all = now_all
            for neighbour in self._neighbours.values():
                neighbour.say_state()
        letters: list[Send] = []
        backlog = round(min(self._uploads.backlog, _MAX_BACKLOG), 3)
        for neighbour in list(self.speakers):
            self._gossip.tell(neighbour)
            state = Status(neighbour.asked.got, backlog, *now_all)
            if state != neighbour.told_state:
                neighbour.told_state = state
                letters.append(Send(neighbour.id, state))
            letters += [Send(neighbour.id, message) for message in neighbour.outbox]
            neighbour.outbox.clear()
        self.speakers.clear()
        return letters
