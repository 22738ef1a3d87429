"""Events of operator controls: the kill switch, the rollout and the broker accounts."""

from __future__ import annotations

from typing import Literal

from shared.contracts.events import Event, register
from shared.contracts.exits import Timestamp
from shared.contracts.topics import OPERATIONS_CONTROLS
from shared.contracts.vocabulary import KillSwitchMode, RolloutMode


class ControlEvent(Event):
    """A setting as it stands after a change; the last event of a key is the setting."""

    topic = OPERATIONS_CONTROLS
    source = "/exitflow/exit-qualification"

    changed_at: Timestamp
    """When the change was committed."""

    @property
    def subject(self) -> str:
        """Return the key: the name of the setting."""
        return self.key


@register
class KillSwitchChanged(ControlEvent):
    """An operator set the kill switch. ENTRIES_ONLY and ALL ask whoever opens trades to open none."""

    mode: KillSwitchMode
    """The setting."""
    reason: str
    """Why, as the operator said."""
    changed_by: str
    """The name of the operator's token."""

    @property
    def key(self) -> str:
        """Return the one key of all kill switch changes; it keeps them in order."""
        return "kill_switch"


@register
class RolloutChanged(ControlEvent):
    """An operator set how far the exit pipeline is switched on; the lists count in mode limited only."""

    mode: RolloutMode
    """The setting."""
    symbols: list[str]
    """Mode limited executes exits of these symbols."""
    user_broker_ids: list[str]
    """Mode limited executes exits of these accounts."""
    reason: str
    """Why, as the operator said."""
    changed_by: str
    """The name of the operator's token."""

    @property
    def key(self) -> str:
        """Return the one key of all rollout changes; it keeps them in order."""
        return "rollout"


@register
class UserBrokerChanged(ControlEvent):
    """A user broker was added or changed. Where it is and its credentials are never published."""

    user_broker_id: str
    """The account."""
    broker: str
    """The kind of broker."""
    status: Literal["CONNECTED", "DISCONNECTED"]
    """Whether orders can be sent for it."""
    entries_held_since: Timestamp | None = None
    """Since when no trade may be opened at it, because it lost more than its limit; null: trades may be opened."""
    entries_held_reason: str | None = None
    """Why they are held."""

    @property
    def key(self) -> str:
        """Return the key of a user broker; it keeps its changes in order."""
        return user_broker_key(self.user_broker_id)


def user_broker_key(user_broker_id: str) -> str:
    """Return the Kafka key of a user broker's events."""
    return f"user_broker/{user_broker_id}"
