"""Reading under a name that another program of ours has."""

from chatctl.visitor import AnonymousClient
from common.messages.chat import HistoryPage


class HistoryReader:
    """Reads through `client` what the holder of `name` may see, without taking the name."""

    def __init__(self, client: AnonymousClient, name: str, token: str) -> None:
        self.name = name
        self._client = client
        self._token = token

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return a page like `Client.history`; raises RefusedError: `unauthorized`."""
        return await self._client.history_of(self.name, self._token, before, limit)
