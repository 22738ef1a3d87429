"""Protective stops: stop orders that brokers hold for trades, and the rule that none stands beside another order.

Revision ID: V054
Revises: V048
"""

from alembic import op

revision = "V054"
down_revision = "V048"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE protective_stops (
  stop_id uuid PRIMARY KEY,
  trade_id uuid NOT NULL REFERENCES open_trades,
  user_broker_id text NOT NULL REFERENCES user_brokers,
  symbol text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT')),
  product_type text NOT NULL,
  status text NOT NULL CHECK (status IN
    ('WANTED', 'PLACING', 'ARMED', 'REPLACING', 'CANCELLING', 'CANCELLED', 'TRIGGERED', 'FAILED')),
  quantity bigint NOT NULL CHECK (quantity > 0),
  trigger_price numeric(18,4) NOT NULL CHECK (trigger_price > 0),
  client_order_id text NOT NULL UNIQUE,
  broker_order_id text,
  error_code text,
  error_message text,
  end_reason text,
  submitted_at timestamptz,
  claimed_until timestamptz,
  asked_at timestamptz,
  absent_since timestamptz,
  armed_at timestamptz,
  ended_at timestamptz,
  intent_id uuid REFERENCES exit_intents,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  version integer NOT NULL DEFAULT 1,
  CONSTRAINT protective_stops_ended CHECK ((status IN ('CANCELLED', 'TRIGGERED', 'FAILED')) = (ended_at IS NOT NULL)),
  CONSTRAINT protective_stops_sent CHECK (status IN ('WANTED', 'CANCELLED') OR submitted_at IS NOT NULL),
  CONSTRAINT protective_stops_known CHECK (status IN ('WANTED', 'PLACING', 'CANCELLED', 'FAILED')
                                           OR broker_order_id IS NOT NULL)
);
COMMENT ON TABLE protective_stops IS 'Stop orders that brokers hold for trades while this system may be dead; a row for each order';
COMMENT ON COLUMN protective_stops.status IS 'ARMED once the book showed the order waiting for its trigger with these terms';
COMMENT ON COLUMN protective_stops.quantity IS 'of the order as asked for last';
COMMENT ON COLUMN protective_stops.trigger_price IS 'of the order as asked for last, in rupees';
COMMENT ON COLUMN protective_stops.client_order_id IS 'tag of the order; the exit that has its fills has the same';
COMMENT ON COLUMN protective_stops.end_reason IS 'why it ended or is to end';
COMMENT ON COLUMN protective_stops.claimed_until IS 'until then its sender may still send it, or it must not be sent';
COMMENT ON COLUMN protective_stops.asked_at IS 'when its change or cancellation was requested last';
COMMENT ON COLUMN protective_stops.absent_since IS 'first complete read of the books without the order';
COMMENT ON COLUMN protective_stops.intent_id IS 'exit that has the fills of the triggered order';
CREATE UNIQUE INDEX protective_stops_one ON protective_stops (trade_id) WHERE ended_at IS NULL;
COMMENT ON INDEX protective_stops_one IS 'a trade has one protective stop at a time';
CREATE INDEX protective_stops_of_trade ON protective_stops (trade_id, created_at);
CREATE INDEX open_trades_to_protect ON open_trades (trade_id)
  WHERE status = 'OPEN' AND exit_plan ? 'protective_stop';
CREATE INDEX exit_plans_to_protect ON exit_plans (trade_id) WHERE exit_plan ? 'protective_stop';
GRANT SELECT, INSERT, UPDATE ON protective_stops TO exitflow_exit;

CREATE FUNCTION protective_stops_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND NOT (OLD.status || '>' || NEW.status) = ANY (ARRAY[
       'WANTED>PLACING', 'WANTED>CANCELLED',
       'PLACING>WANTED', 'PLACING>ARMED', 'PLACING>REPLACING', 'PLACING>CANCELLED', 'PLACING>TRIGGERED',
       'PLACING>FAILED',
       'ARMED>REPLACING', 'ARMED>CANCELLING', 'ARMED>CANCELLED', 'ARMED>TRIGGERED', 'ARMED>FAILED',
       'REPLACING>ARMED', 'REPLACING>CANCELLING', 'REPLACING>CANCELLED', 'REPLACING>TRIGGERED', 'REPLACING>FAILED',
       'CANCELLING>CANCELLED', 'CANCELLING>TRIGGERED', 'CANCELLING>FAILED']) THEN
    RAISE EXCEPTION 'protective stop %: % cannot become %', NEW.stop_id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'protective_stops_step';
  END IF;
  IF NEW.status = 'PLACING' AND OLD.status <> 'PLACING' THEN
    PERFORM FROM open_trades t WHERE t.trade_id = NEW.trade_id FOR UPDATE;
    IF EXISTS (SELECT FROM exit_intents i
                WHERE i.trade_id = NEW.trade_id AND i.executable AND i.deleted_at IS NULL
                  AND i.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')) THEN
      RAISE EXCEPTION 'trade % has an exit at the broker', NEW.trade_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'protective_stops_beside_exit';
    END IF;
  END IF;
  IF NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL THEN
    PERFORM pg_notify('exit_intents_to_send', '');
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER protective_stops_step BEFORE UPDATE ON protective_stops
  FOR EACH ROW EXECUTE FUNCTION protective_stops_step();

CREATE FUNCTION exit_intents_beside_protective_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM open_trades t WHERE t.trade_id = NEW.trade_id FOR UPDATE;
  IF EXISTS (SELECT FROM protective_stops s
              WHERE s.trade_id = NEW.trade_id AND s.ended_at IS NULL AND s.status <> 'WANTED') THEN
    RAISE EXCEPTION 'the broker holds a protective stop of trade %; it must be cancelled before an exit is sent',
                    NEW.trade_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_beside_protective_stop';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER exit_intents_beside_protective_stop BEFORE UPDATE OF status ON exit_intents
  FOR EACH ROW WHEN (NEW.status = 'SUBMITTING' AND OLD.status <> 'SUBMITTING')
  EXECUTE FUNCTION exit_intents_beside_protective_stop();
"""

DOWNGRADE = """
DROP TRIGGER exit_intents_beside_protective_stop ON exit_intents;
DROP FUNCTION exit_intents_beside_protective_stop();
DROP TABLE protective_stops;
DROP FUNCTION protective_stops_step();
DROP INDEX exit_plans_to_protect;
DROP INDEX open_trades_to_protect;
"""


def upgrade() -> None:
    """Make the table, its indexes and the triggers."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; orders that brokers hold must have been cancelled before."""
    op.execute(DOWNGRADE)
