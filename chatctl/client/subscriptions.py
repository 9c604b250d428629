"""Subscriptions: what the server keeps sending, over as many connections as it takes.

`chatctl.client.feed` and `chatctl.client.groups` hold the two kinds there are.
"""

from typing import Protocol

from chatctl.client.errors import CorrelationId, RefusedError


class Subscription(Protocol):
    """What the server keeps sending after one request.

    It is made again on each new connection and closed with the session.
    """

    def resubscribe(self) -> bytes:
        """Return the lines to send first on a new connection, each with its newline."""

    @property
    def is_full(self) -> bool:
        """Whether reading must pause until the program has caught up."""

    @property
    def wants_data(self) -> bool:
        """Whether the program has taken everything, so reading must go on whatever else is full."""

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Handle a refusal that answers no pending request; `correlation_id` tells whose it is."""

    def close(self, error: Exception | None) -> None:
        """End the subscription with the session: a stop, or `error`."""


class Subscriptions:
    """All subscriptions of a session."""

    def __init__(self) -> None:
        self._all: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._all.append(subscription)

    def resubscribe(self) -> bytes:
        """Return the lines to send first on a new connection."""
        return b"".join(subscription.resubscribe() for subscription in self._all)

    @property
    def is_full(self) -> bool:
        """Whether reading must pause for one of them."""
        return any(subscription.is_full for subscription in self._all)

    @property
    def wants_data(self) -> bool:
        """Whether one of them has taken everything."""
        return any(subscription.wants_data for subscription in self._all)

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Offer a refusal to all; the one whose request it answers takes it."""
        for subscription in self._all:
            subscription.on_refused(correlation_id, error)

    def close(self, error: Exception | None) -> None:
        """Close all of them."""
        for subscription in self._all:
            subscription.close(error)
