"""Triggers of new exits run once a statement; a row whose first status is legal calls none. Only expands.

Revision ID: V061
Revises: V059
"""

from alembic import op

revision = "V061"
down_revision = "V059"
branch_labels = None
depends_on = None

LIVE = "'PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED'"

UPGRADE = f"""
DROP TRIGGER exit_intents_guard ON exit_intents;
CREATE TRIGGER exit_intents_guard BEFORE UPDATE ON exit_intents
  FOR EACH ROW EXECUTE FUNCTION exit_intents_guard();
CREATE TRIGGER exit_intents_guard_insert BEFORE INSERT ON exit_intents
  FOR EACH ROW WHEN (NEW.status NOT IN ('PENDING', 'APPROVED', 'REJECTED') AND NEW.exit_reason <> 'EXTERNAL')
  EXECUTE FUNCTION exit_intents_guard();

DROP TRIGGER exit_intents_to_send_insert ON exit_intents;
CREATE OR REPLACE FUNCTION exit_intents_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of_trades uuid[];
  to_send boolean;
BEGIN
  SELECT array_agg(DISTINCT w.trade_id) FILTER (WHERE w.exit_reason <> 'EXTERNAL' AND w.status IN ({LIVE})),
         bool_or(w.status = 'APPROVED')
    INTO of_trades, to_send
    FROM written w WHERE w.executable;
  IF of_trades IS NOT NULL THEN
    PERFORM exit_intents_check_quantity(of_trades);
  END IF;
  IF to_send THEN
    PERFORM pg_notify('exit_intents_to_send', '');
  END IF;
  RETURN NULL;
END
$$;
"""  # noqa: S608  # our own list

DOWNGRADE = f"""
CREATE OR REPLACE FUNCTION exit_intents_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of_trades uuid[];
BEGIN
  SELECT array_agg(DISTINCT w.trade_id) INTO of_trades FROM written w
   WHERE w.executable AND w.exit_reason <> 'EXTERNAL' AND w.status IN ({LIVE});
  IF of_trades IS NOT NULL THEN
    PERFORM exit_intents_check_quantity(of_trades);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER exit_intents_to_send_insert AFTER INSERT ON exit_intents
  FOR EACH ROW WHEN (NEW.status = 'APPROVED' AND NEW.executable) EXECUTE FUNCTION exit_intents_to_send();

DROP TRIGGER exit_intents_guard_insert ON exit_intents;
DROP TRIGGER exit_intents_guard ON exit_intents;
CREATE TRIGGER exit_intents_guard BEFORE INSERT OR UPDATE ON exit_intents
  FOR EACH ROW EXECUTE FUNCTION exit_intents_guard();
"""  # noqa: S608  # our own list


def upgrade() -> None:
    """Replace the triggers of each row."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Restore them."""
    op.execute(DOWNGRADE)
