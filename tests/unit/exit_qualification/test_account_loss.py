"""An account's loss of a trading day, from its start or from its peak."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from services.exit_qualification.domain.account_loss import AccountPnl, LossLimit
from shared.contracts.vocabulary import LossBasis

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


def pnl(realised: int = 0, unrealised: int = 0, carried: int = 0) -> AccountPnl:
    return AccountPnl(Decimal(realised), Decimal(unrealised), Decimal(carried))


def limit(basis: LossBasis = LossBasis.START_OF_DAY, first: AccountPnl | None = None) -> LossLimit:
    return LossLimit.first("paper", Decimal(1000), basis, MONDAY, first or pnl())


def test_realised_and_unrealised_losses_add_up_to_inclusive_limit() -> None:
    assert not limit().judged(MONDAY, pnl(-600, -399)).is_reached
    assert limit().judged(MONDAY, pnl(-600, -400)).is_reached
    assert limit().judged(MONDAY, pnl(-1600, 600)).is_reached
    assert not limit().judged(MONDAY, pnl(5000, -5000)).is_reached


def test_the_peak_counts_what_was_won_before() -> None:
    looks = [pnl(0, 700), pnl(200, 300), pnl(200, -501)]
    for basis, losses in ((LossBasis.START_OF_DAY, [0, 0, 301]), (LossBasis.PEAK, [0, 200, 1001])):
        judged, found = limit(basis), []
        for look in looks:
            judged = judged.judged(MONDAY, look)
            found.append(int(judged.loss))
        assert found == losses
        assert judged.is_reached is (basis is LossBasis.PEAK)


def test_overnight_gap_counts_but_previous_day_does_not() -> None:
    evening = limit().judged(MONDAY, pnl(-900, 300))
    morning = evening.judged(TUESDAY, pnl(0, -600))
    assert morning.loss == 900
    assert morning.judged(TUESDAY, pnl(-100, -600)).is_reached


def test_a_first_limit_counts_trades_of_earlier_days_from_now() -> None:
    first = limit(first=pnl(0, -5000, carried=-4800))
    assert first.loss == 200
    assert limit(LossBasis.PEAK, pnl(0, 5000, carried=4800)).judged(MONDAY, pnl(0, 4900, 4800)).loss == 100


def test_account_loss_is_not_judged_without_price_of_carried_trade() -> None:
    evening = limit().judged(MONDAY, pnl(0, 3000))
    renamed = AccountPnl(unpriced=1, unpriced_carried=1)
    assert evening.judged(TUESDAY, renamed) == evening
    assert evening.judged(TUESDAY, renamed).judged(TUESDAY, pnl(0, 2500)).loss == 500
    assert limit().judged(MONDAY, AccountPnl(Decimal(-1000), unpriced=1)).is_reached


def test_release_restarts_loss_count_and_new_terms_keep_day() -> None:
    held = limit().judged(MONDAY, pnl(-1200))
    assert held.restarted().loss == 0
    assert held.restarted().judged(MONDAY, pnl(-1300)).loss == 100
    assert held.changed(Decimal(2000), LossBasis.PEAK).loss == 1200
    assert not held.changed(None, LossBasis.START_OF_DAY).is_reached
