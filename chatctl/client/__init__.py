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

**Reconnection.** A client survives a lost connection. It reconnects with exponential backoff,
repeats its hello with its token, receives what it missed, and sends every unacknowledged message
again; the server stores none of them twice. It does not reconnect after `replaced` (the same token
logged in elsewhere).

**State.** With `Client(..., state=folder)` a client also survives the end of its process, even
`kill -9`. For each server and name the folder holds the token, the unacknowledged messages (each
written before it is sent), and the last event that the program has handled. The next client with
the same folder and name sends those messages again under the same `ref`, reports the results
(`Delivered`, `Undelivered`), and resumes after the last event. A program has handled an event when
it asks for the next one, or leaves the client without an exception. If that is too early, iterate
over `events()` and call `seen`. A program that is killed while it handles an event receives that
event again. Only one client at a time may use a name (NameInUseError).

**Reading.** Events wait in a bounded queue until `async for` takes them. While the queue is full,
the client stops reading, so TCP slows the server down. If that lasts, the server closes the
connection (`slow_consumer`), and the client reconnects when there is space. While a call waits for
its answer the client always reads, so a program may send from inside its own `async for`, or never
iterate at all. Messages that do not fit stay in the server's log, and the client fetches them when
the program has caught up. Only events without an id (`Joined`, `Left`) are lost then.
"""

from chatctl.client.base import MAX_REQUESTS
from chatctl.client.client import Client, HistoryReader
from chatctl.client.errors import JournalError, NameInUseError, RefusedError
from chatctl.client.events import (
    Answer,
    ChatMessage,
    Delivered,
    Event,
    LogStartedOver,
    Probe,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.errors import AnswerTimeoutError, CannotConnectError, ClientError, ProtocolError
from common.messages.base import Error
from common.messages.chat import (
    Gap,
    HistoryPage,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
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
    "ChatMessage",
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
    "Outgoing",
    "OutgoingBroadcast",
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
