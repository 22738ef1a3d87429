"""Service for setting the kill switch and waiting until it takes effect."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.exit_qualification.control_events import kill_switch_changed
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.storage.operator_controls import Setting, SwitchRepository
from services.exit_qualification.storage.send_fence import SendFence
from shared.clock import Clock
from shared.contracts.vocabulary import IntentStatus, KillSwitchMode
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act

OUTWAIT_S = 3.0
"""Longest wait for senders checked before the switch was set; below usual HTTP client time-outs."""
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class KillSwitchSet:
    """Current kill switch, and the intents with orders still able to reach a broker."""

    setting: Setting
    on_their_way: list[ExitIntent]


class KillSwitchService:
    """Sets the kill switch in a transaction, then waits for senders checked before the commit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def put(self, open_unit: Callable[[], UnitOfWork], mode: KillSwitchMode, act: Act) -> KillSwitchSet:
        """Set the kill switch. Under ALL, return once no sender can still send, or after OUTWAIT_S.

        Afterwards only orders of the returned intents and manual exits reach a broker.
        """
        with open_unit() as uow:
            switches = SwitchRepository(uow.connection)
            switches.put_kill_switch(mode, act)
            setting = switches.kill_switch()
            uow.emit(kill_switch_changed(setting))
            uow.commit()
        held = mode is KillSwitchMode.ALL
        return KillSwitchSet(setting, self._outwait_senders(open_unit) if held else [])

    def _outwait_senders(self, open_unit: Callable[[], UnitOfWork]) -> list[ExitIntent]:
        ends_at = self._clock.monotonic() + OUTWAIT_S
        with open_unit() as uow:
            first = {intent.intent_id for intent in SendFence(uow.connection).on_their_way()}
        while True:
            with open_unit() as uow:  # its snapshot must be newer than every earlier query
                under_way = SendFence(uow.connection).on_their_way()
            being_sent = [intent for intent in under_way if intent.status is IntentStatus.SUBMITTING]
            if not any(intent.intent_id in first for intent in being_sent) or self._clock.monotonic() >= ends_at:
                return under_way
            time.sleep(LOOK_S)
