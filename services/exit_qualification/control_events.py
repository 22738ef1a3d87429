"""Events of operators' settings, built from the current settings."""

from __future__ import annotations

from datetime import datetime

from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.storage.operator_controls import Setting
from shared.contracts.controls import KillSwitchChanged, RolloutChanged, UserBrokerChanged


def kill_switch_changed(setting: Setting) -> KillSwitchChanged:
    """Return the event of the kill switch."""
    return KillSwitchChanged(
        **setting.values, reason=setting.reason, changed_by=setting.updated_by, changed_at=setting.updated_at
    )


def rollout_changed(setting: Setting) -> RolloutChanged:
    """Return the event of the rollout."""
    return RolloutChanged(
        **setting.values, reason=setting.reason, changed_by=setting.updated_by, changed_at=setting.updated_at
    )


def user_broker_changed(broker: UserBroker, at: datetime) -> UserBrokerChanged:
    """Return the event of a user broker."""
    return UserBrokerChanged(
        user_broker_id=broker.user_broker_id,
        broker=broker.broker,
        status=broker.status.value,
        entries_held_since=broker.entries_held_since,
        entries_held_reason=broker.entries_held_reason,
        changed_at=at,
    )
