"""Bug: progress is recorded without comparing the epoch: a relay after a pause sets its successor's progress back."""

from __future__ import annotations

from services.outbox_relay.database import statements
from services.outbox_relay.process import PROCESS
from shared.runtime.failpoints import arm_from_environment
from shared.settings import load_settings

FENCE = " AND s.epoch = held.epoch"


def unfence(statement: str) -> str:
    """The statement without its fence."""
    assert FENCE in statement, "there is no fence to take away: this plant has grown old"
    return statement.replace(FENCE, "")


if __name__ == "__main__":
    statements.RECORD = unfence(statements.RECORD)
    arm_from_environment()
    PROCESS.main(load_settings())
