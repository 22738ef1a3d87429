"""Operators' settings for the sending of exits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.exit_qualification.domain.order_terms import BrokerStatus
from shared.contracts.vocabulary import KillSwitchMode, RolloutMode


@dataclass(frozen=True, slots=True)
class Rollout:
    """Rollout of the pipeline; the lists apply only when the mode is limited."""

    mode: RolloutMode
    symbols: frozenset[str] = frozenset()
    user_broker_ids: frozenset[str] = frozenset()

    def match(self, symbol: str, user_broker_id: str) -> str | None:
        """Return why an exit is executable: ``full``, ``symbol`` or ``user_broker_id``; None if it is not."""
        if self.mode is RolloutMode.FULL:
            return "full"
        if self.mode is not RolloutMode.LIMITED:
            return None
        if symbol in self.symbols:
            return "symbol"
        return "user_broker_id" if user_broker_id in self.user_broker_ids else None


@dataclass(frozen=True, slots=True)
class UserBroker:
    """Account for executing exits.

    Attributes
    ----------
    token_refused_at:
        Since when the broker refuses the access token; None: it takes it, or was not asked.
    entries_held_since, entries_held_reason:
        Since when and why no trade may be opened at it; None: trades may be opened.
    """

    user_broker_id: str
    broker: str
    account: str
    root_url: str
    status: BrokerStatus
    token_refused_at: datetime | None = None
    entries_held_since: datetime | None = None
    entries_held_reason: str | None = None

    @property
    def token_refused(self) -> bool:
        """Return whether the broker refuses the access token."""
        return self.token_refused_at is not None


@dataclass(frozen=True, slots=True)
class Switches:
    """Operators' settings needed by the gates, read at one instant."""

    kill_switch: KillSwitchMode
    rollout: Rollout
    brokers: dict[str, UserBroker]

    def token_refused(self, user_broker_id: str) -> bool:
        """Return whether the broker refuses the access token of a user broker."""
        broker = self.brokers.get(user_broker_id)
        return broker is not None and broker.token_refused

    def entries_held(self, user_broker_id: str) -> bool:
        """Return whether no trade may be opened at a user broker."""
        broker = self.brokers.get(user_broker_id)
        return broker is not None and broker.entries_held_since is not None

    def broker_status(self, user_broker_id: str) -> BrokerStatus | None:
        """Return the status of a user broker; None if it is not known."""
        broker = self.brokers.get(user_broker_id)
        return None if broker is None else broker.status
