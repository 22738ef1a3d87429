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

    @property
    def subject(self) -> str:
        """Return the key: the name of the setting."""
        return self.key


@register
class KillSwitchChanged(ControlEvent):
    """An operator set the kill switch. ENTRIES_ONLY and ALL ask whoever opens trades to open none."""

    mode: KillSwitchMode
    reason: str
    changed_by: str

    @property
    def key(self) -> str:
        """Return the one key of all kill switch changes, so that they stay in order."""
        return "kill_switch"


@register
class RolloutChanged(ControlEvent):
    """An operator set how far the exit pipeline is switched on; the lists count in mode limited only."""

    mode: RolloutMode
    symbols: list[str]
    user_broker_ids: list[str]
    reason: str
    changed_by: str

    @property
    def key(self) -> str:
        """Return the one key of all rollout changes, so that they stay in order."""
        return "rollout"


@register
class UserBrokerChanged(ControlEvent):
    """A user broker was added or changed. Where it is and its credentials are never published."""

    user_broker_id: str
    broker: str
    status: Literal["CONNECTED", "DISCONNECTED"]

    @property
    def key(self) -> str:
        """Return the key of a user broker, so that its changes stay in order."""
        return user_broker_key(self.user_broker_id)


def user_broker_key(user_broker_id: str) -> str:
    """Return the Kafka key of a user broker's events."""
    return f"user_broker/{user_broker_id}"
