"""Where a client stands in the server's log, so that it can go on there; no sockets."""

from msgspec import UNSET, UnsetType, structs

from common.messages.chat import Hello, Incoming, IncomingBroadcast, Resumed, Welcome


class Place:
    """The hello that was accepted, the log it was said to, and the last id seen there.

    Ids of one log mean nothing in another: when the server comes back with a new log, the last id
    seen is the last that both have in common.
    """

    def __init__(self) -> None:
        self._said = Hello()
        self._log: str | UnsetType = UNSET
        self.is_known = False
        """Whether the server has accepted a hello."""
        self.is_behind = False
        """Whether deliveries were left to the log."""
        self.last = 0
        """The newest id that was seen, or is of no interest."""

    @property
    def name(self) -> str:
        """The name that the server knows us by; empty before the welcome."""
        return self._said.name or "" if self.is_known else ""

    @property
    def token(self) -> str:
        """The token that proves the name."""
        return self._said.token or ""

    def say(self, hello: Hello) -> None:
        """Note the hello that the next welcome answers."""
        self._said = hello

    def greet(self, *, has_room: bool) -> Hello:
        """Return the hello for a new link: the same person, from the last id seen on.

        Without room for what was missed it is not asked for yet; it stays in the log.
        """
        self.is_behind = not has_room
        after, log = (self.last, self._log) if has_room else (UNSET, UNSET)
        self._said = structs.replace(self._said, after=after, log=log)
        return self._said

    def welcomed(self, welcome: Welcome) -> bool:
        """Note that the hello was accepted; return whether the log is another than it spoke of.

        The server then sends all that the new log holds after what is the same in both.
        """
        said = self._said
        is_another_log = said.log is not UNSET and said.log != welcome.log
        if is_another_log:
            self.last = welcome.after or 0
        elif not self.is_known:
            # Without `after` nothing is replayed: what came before this moment was not missed.
            self.last = said.after if said.after is not UNSET else welcome.last or 0
        if not self.is_behind:  # else the id is still one of the old log
            self._log = welcome.log
        self.is_known = True
        self._said = structs.replace(
            said, name=welcome.name or said.name, token=welcome.token or said.token
        )
        return is_another_log

    def accepts(self, delivery: Incoming | IncomingBroadcast) -> bool:
        """Tell whether `delivery` is new, and in turn."""
        return not self.is_behind and (not delivery.id or delivery.id > self.last)

    def saw(self, delivery: Incoming | IncomingBroadcast) -> None:
        """Note that the program has `delivery`."""
        self.last = max(self.last, delivery.id or 0)

    def resumed(self, resumed: Resumed) -> None:
        """Note that the replay is over: whatever follows has a larger id than its last."""
        if not self.is_behind:
            self.last = resumed.last

    def leave_to_log(self) -> None:
        """Note that a delivery was not kept: it and what follows must come again, in order."""
        self.is_behind = True
