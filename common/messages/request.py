"""Requests: a string of entities goes out, the parsed objects come back some seconds later.

Requests and responses have two forms, with a code and without: the mode is older than the codes.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from common.entities import Entities
from common.messages.base import Message

RequestId: TypeAlias = Annotated[str, Meta(max_length=256)] | int
"""The client chooses it, a string of up to 256 characters or an integer; the answer repeats it."""


class Request(Message, frozen=True):
    """Asks the server to parse the entities in `data` (`common.entities`)."""

    request_id: RequestId
    data: str


class BareRequest(Struct, frozen=True, gc=False):
    """A request without a code."""

    request_id: RequestId
    data: str
    code: UnsetType = UNSET


class Response(Message, frozen=True):
    """Answers a request."""

    request_id: RequestId
    data: Entities


class BareResponse(Struct, frozen=True, gc=False):
    """Answers a request that had no code."""

    request_id: RequestId
    data: Entities
    code: UnsetType = UNSET


FROM_CLIENT: Final = (Request,)
FROM_SERVER: Final = (Response,)
