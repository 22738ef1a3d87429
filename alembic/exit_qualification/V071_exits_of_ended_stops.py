"""A stop filled after its end gets an exit that starts as CANCELLED. Only expands.

Revision ID: V071
Revises: V067
"""

from alembic import op

revision = "V071"
down_revision = "V067"
branch_labels = None
depends_on = None

GUARD = """
CREATE OR REPLACE FUNCTION exit_intents_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('PENDING', 'APPROVED', 'REJECTED') AND NEW.exit_reason <> 'EXTERNAL'{unless} THEN
      RAISE EXCEPTION 'an exit intent cannot start as %', NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_transition';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.status <> OLD.status AND NOT EXISTS (
       SELECT FROM exit_intent_transitions t
        WHERE t.from_status = OLD.status AND t.to_status = NEW.status
          AND (NOT t.only_if_sent OR OLD.submitted_at IS NOT NULL)) THEN
    RAISE EXCEPTION 'exit intent %: % to % is not a legal step', OLD.intent_id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_transition';
  END IF;
  IF NEW.filled_quantity < OLD.filled_quantity THEN
    RAISE EXCEPTION 'exit intent %: filled quantity cannot go down', OLD.intent_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_monotone_fill';
  END IF;
  IF NEW.version <> OLD.version + 1 THEN
    RAISE EXCEPTION 'exit intent %: version must go from % to %', OLD.intent_id, OLD.version, OLD.version + 1
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_version';
  END IF;
  IF (NEW.intent_id, NEW.signal_id, NEW.trade_id, NEW.user_broker_id, NEW.symbol, NEW.direction, NEW.exit_reason,
      NEW.episode_id, NEW.client_order_id, NEW.executable, NEW.leg)
     IS DISTINCT FROM
     (OLD.intent_id, OLD.signal_id, OLD.trade_id, OLD.user_broker_id, OLD.symbol, OLD.direction, OLD.exit_reason,
      OLD.episode_id, OLD.client_order_id, OLD.executable, OLD.leg) THEN
    RAISE EXCEPTION 'exit intent %: its identity cannot change', OLD.intent_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_identity';
  END IF;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;
"""
OF_ENDED_STOP = """
       AND NOT (NEW.status = 'CANCELLED' AND EXISTS (
         SELECT FROM protective_stops s
          WHERE s.client_order_id = NEW.client_order_id AND s.trade_id = NEW.trade_id AND s.ended_at IS NOT NULL))"""
INDEX = """
CREATE INDEX protective_stops_ended ON protective_stops (ended_at)
 WHERE ended_at IS NOT NULL AND submitted_at IS NOT NULL AND intent_id IS NULL;
"""


def upgrade() -> None:
    """Accept the exit of an ended stop as it ended, and find such stops by an index."""
    op.execute(GUARD.format(unless=OF_ENDED_STOP))
    op.execute(INDEX)


def downgrade() -> None:
    """Every exit but EXTERNAL ones starts unsent again; the late fills of stops stay."""
    op.execute("DROP INDEX protective_stops_ended")
    op.execute(GUARD.format(unless=""))
