"""V075: indexes that pass over exits held by switches. Only expands; the build holds writes of exits back.

Revision ID: V075
Revises: V078
"""

from alembic import op

revision = "V075"
down_revision = "V078"
branch_labels = None
depends_on = None

UNSENT = "deleted_at IS NULL AND status IN ('PENDING', 'APPROVED')"
OF_ACCOUNT = f"(CASE WHEN executable AND {UNSENT} THEN user_broker_id END)"
UNTIL = f"(CASE WHEN executable AND {UNSENT} THEN expires_at END)"
DARK = f"(CASE WHEN NOT executable AND {UNSENT} THEN trade_id END)"


def upgrade() -> None:
    """Make the indexes."""
    op.execute(
        f"CREATE INDEX exit_intents_unsent_of_account ON exit_intents ({OF_ACCOUNT}, exit_reason)"
        f" WHERE {OF_ACCOUNT} IS NOT NULL"
    )
    op.execute(f"CREATE INDEX exit_intents_unsent_until ON exit_intents ({UNTIL}) WHERE {UNTIL} IS NOT NULL")
    op.execute(f"CREATE INDEX exit_intents_dark ON exit_intents ({DARK}) WHERE {DARK} IS NOT NULL")


def downgrade() -> None:
    """Drop them."""
    for name in ("unsent_of_account", "unsent_until", "dark"):
        op.execute(f"DROP INDEX exit_intents_{name}")
