"""Required end of a run: every call its one effect, every invariant, no lease, lock or open transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import psycopg

from services.checker.checker import SystemUnderCheck, check_once_settled
from shared.clock import SystemClock
from tests.chaos.stack.calls import judge_forced, judge_opened
from tests.chaos.stack.workload import Workload

SETTLE_LIMIT_S = 90
OLD_S = 30
"""A transaction or a wait for a lock of this age was left behind; work at hand is far quicker."""

LEFT_BEHIND = {
    "a transaction is idle": f"""
SELECT pid || ' of ' || application_name FROM pg_stat_activity
 WHERE state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - interval '{OLD_S} s'""",
    "a lock is waited for": f"""
SELECT pid || ' ' || locktype FROM pg_locks
 WHERE NOT granted AND waitstart < clock_timestamp() - interval '{OLD_S} s'""",
    "a prepared transaction is undecided": "SELECT gid FROM pg_prepared_xacts",
    "a claim is held": f"""
SELECT intent_id || ' ' || status FROM exit_qualification.exit_intents
 WHERE claimed_until < clock_timestamp() - interval '{OLD_S} s'
   AND status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')""",
    "a lease is held by a relay that is gone": f"""
SELECT 'shard ' || shard FROM exit_qualification.outbox_shard
 WHERE owner IS NOT NULL AND lease_until < clock_timestamp() - interval '{OLD_S} s'
 UNION ALL
SELECT 'shard ' || shard FROM trade_management.outbox_shard
 WHERE owner IS NOT NULL AND lease_until < clock_timestamp() - interval '{OLD_S} s'""",
}


def open_trades(running: dict[str, Any]) -> int:
    """Return how many trades are open."""
    (row,) = _rows(running, "SELECT count(*) FROM trade_management.trades WHERE status <> 'CLOSED'")
    return int(row[0])


def violations(running: dict[str, Any], system: SystemUnderCheck, workload: Workload) -> list[str]:
    """Return a line for each fault."""
    trades = {
        str(row[0]): int(row[1]) for row in _rows(running, "SELECT trade_id, quantity FROM trade_management.trades")
    }
    manual: dict[str, list[str]] = defaultdict(list)
    for trade_id, intent_id in _rows(
        running, "SELECT trade_id, intent_id FROM exit_qualification.exit_intents WHERE exit_reason = 'MANUAL'"
    ):
        manual[str(trade_id)].append(str(intent_id))
    findings = check_once_settled(system, SystemClock(), SETTLE_LIMIT_S)
    return [
        *(f"I0: {line}" for line in judge_opened(workload.opened, trades)),
        *(f"I0: {line}" for line in judge_forced(workload.forced, manual)),
        *(f"rule {found.rule.number}: {line}" for found in findings for line in found.violations),
        *(
            f"I9: {what}: {row[0]}"
            for what, statement in LEFT_BEHIND.items()
            for row in _rows(running, statement.replace("%%", "%"))
        ),
    ]


def _rows(running: dict[str, Any], statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(running["admin_database_url"], autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()
