"""The Python API of chatd.

An example; a test runs it against a real daemon:

    import asyncio
    from chatctl.client import Client, Incoming

    async def main(host: str, port: int) -> None:
        async with Client(host, port) as ann, Client(host, port) as bob:
            await ann.hello("ann")
            await bob.hello("bob")
            print(await ann.who())
            receipt = await ann.send("bob", "hi")
            print(f"in the log as number {receipt.id}")
            async for event in bob:
                if isinstance(event, Incoming):
                    print(f"{event.author}: {event.content}")
                    break

    asyncio.run(main("127.0.0.1", 5555))

A client survives a lost connection: it comes back with exponential backoff, says the same hello
with its token, gets what it missed, and sends again what was not acknowledged; nothing is delivered
twice. It does not come back after `replaced` (the same token signed in elsewhere).

**State.** With `Client(..., state=folder)` it survives the end of its process too, even `kill -9`.
The folder keeps, for each server and name, the token, the messages that are not acknowledged, each
before it is sent, and the last event that the program is done with. The next client with the same
folder and name sends those messages again under the same `ref`, reports what became of them
(`Delivered`, `Undelivered`), and goes on with the event after the last one. The program is done
with an event when it asks for the next one, or leaves the client without an exception; where that
is not so, iterate over `events()` and say `seen`. A program that is killed while it is busy with
an event gets that one again. One client at a time may use a name (NameInUseError).

**Reading.** Events wait in a bounded queue until `async for` takes them. When it is full the
connection is not read, so TCP slows the server down; if it lasts the server closes it
(`slow_consumer`), and the client comes back for the rest when there is room. While a call waits
for its answer reading never pauses, so a program may send from inside its own `async for`, or
never iterate at all: what does not fit is left to the server's log and fetched from there once the
program has caught up. Only what has no place in the log (`Joined`, `Left`) is lost then.
"""

from chatctl.client.base import MAX_REQUESTS
from chatctl.client.client import Client, HistoryReader
from chatctl.client.credentials import NameInUseError
from chatctl.client.events import (
    Answer,
    Delivered,
    Event,
    LogStartedOver,
    Probe,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.client.journal import JournalError
from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    ProtocolError,
    RefusedError,
)
from common.messages.base import Error
from common.messages.chat import (
    Gap,
    HistoryPage,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Resumed,
    Welcome,
)
from common.messages.feed import Array, User
from common.messages.groups import PeerEntry, PeerJoined, PeerLeft, PeerList

__all__ = [
    "MAX_REQUESTS",
    "Answer",
    "AnswerTimeoutError",
    "Array",
    "CannotConnectError",
    "Client",
    "ClientError",
    "Delivered",
    "Error",
    "Event",
    "Gap",
    "HistoryPage",
    "HistoryReader",
    "Incoming",
    "IncomingBroadcast",
    "Joined",
    "JournalError",
    "Left",
    "LogStartedOver",
    "NameInUseError",
    "PeerEntry",
    "PeerJoined",
    "PeerLeft",
    "PeerList",
    "Probe",
    "ProtocolError",
    "Receipt",
    "Reconnected",
    "Reconnecting",
    "RefusedError",
    "Resumed",
    "Undelivered",
    "User",
    "Welcome",
]
