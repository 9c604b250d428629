"""What a client subscribes to once and keeps getting, over as many connections as it takes."""

from typing import Protocol

from chatctl.errors import RefusedError
from chatctl.questions import CorrelationId


class Subscription(Protocol):
    """Made again on each new connection, closed with the session."""

    def resubscribe(self) -> bytes:
        """Return the lines that a new connection begins with, each with its newline."""

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""

    @property
    def wants_data(self) -> bool:
        """Whether the program has caught up, so that reading must not pause for other things."""

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Take a refusal that answers no pending request; `correlation_id` says whose it is."""

    def close(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""


class Subscriptions:
    """All subscriptions of a session."""

    def __init__(self) -> None:
        self._all: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        """Add one more."""
        self._all.append(subscription)

    def resubscribe(self) -> bytes:
        """Return what a new connection begins with."""
        return b"".join(subscription.resubscribe() for subscription in self._all)

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause for one of them."""
        return any(subscription.is_full for subscription in self._all)

    @property
    def wants_data(self) -> bool:
        """Whether one of them wants more data."""
        return any(subscription.wants_data for subscription in self._all)

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Hand a refusal to whomever it concerns."""
        for subscription in self._all:
            subscription.on_refused(correlation_id, error)

    def close(self, error: Exception | None) -> None:
        """Close all of them."""
        for subscription in self._all:
            subscription.close(error)
