"""Signals of exits decided by the broker: its fill or trigger is there, whatever the rules and cooldowns say."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from shared.contracts.vocabulary import ExitReason
from shared.ids import new_id
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.row_locks import RowHeld


def broker_signal(uow: UnitOfWork, of: OpenTrade | ProtectiveStop, reason: ExitReason, now: datetime) -> ExitSignal:
    """Return a signal of a trade in a new episode without a cooldown.

    Raises
    ------
    RowHeld
        The trade's last episode of this reason began at this instant of the database's clock; try again.
    """
    key = RuleKey(of.trade_id, reason)
    episode_id = ExitEpisodeRepository(uow.connection).generate([key], timedelta()).get(key)
    if episode_id is None:
        raise RowHeld(f"trade {of.trade_id} has no new episode yet")
    return ExitSignal(
        signal_id=new_id(),
        trade_id=of.trade_id,
        symbol=of.symbol,
        direction=of.direction,
        exit_reason=reason,
        episode_id=episode_id,
        detected_price=None,
        detected_at=now,
    )
