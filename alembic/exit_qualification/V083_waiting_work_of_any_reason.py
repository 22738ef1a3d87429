"""Waiting work of any exit reason: a new rule needs no migration. Only widens.

Revision ID: V083
Revises: V075
"""

from alembic import op

revision = "V083"
down_revision = "V075"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE waiting_trades
  DROP CONSTRAINT waiting_trades_work_check,
  ADD CONSTRAINT waiting_trades_work_check CHECK (work ~ '^[A-Z_]+(/[0-9]+)?$');
"""

DOWNGRADE = """
DELETE FROM waiting_trades WHERE work <> ALL ('{CLOSE,ADJUST}') AND split_part(work, '/', 1) NOT IN
  ('STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL');
ALTER TABLE waiting_trades
  DROP CONSTRAINT waiting_trades_work_check,
  ADD CONSTRAINT waiting_trades_work_check CHECK (work IN ('CLOSE', 'ADJUST') OR split_part(work, '/', 1) IN
    ('STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL'));
"""


def upgrade() -> None:
    """Let the reason of waiting work be any name."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """List the reasons again; waiting work of others is dropped, and found again by the rearming."""
    op.execute(DOWNGRADE)
