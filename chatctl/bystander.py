"""Reading under a name that another program of ours has."""

from chatctl.visitor import Visitor
from common.messages.chat import HistoryPage


class Bystander:
    """Reads through `visitor` what the holder of `name` may see, without taking the name."""

    def __init__(self, visitor: Visitor, name: str, token: str) -> None:
        self.name = name
        self._visitor = visitor
        self._token = token

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return a page like `Client.history`; raises RefusedError: `unauthorized`."""
        return await self._visitor.history_of(self.name, self._token, before, limit)
