"""V028: one order budget per broker account, and a notification when there may be an order to send. Only expands.

Revision ID: V028
Revises: V027
"""

from alembic import op

revision = "V028"
down_revision = "V027"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE order_budgets (
  broker text NOT NULL,
  account text NOT NULL,
  taken_at timestamptz[] NOT NULL DEFAULT '{}',
  trading_day date NOT NULL,
  taken_today integer NOT NULL DEFAULT 0 CHECK (taken_today >= 0),
  free_at timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (broker, account)
);
COMMENT ON TABLE order_budgets IS 'Orders that each broker account may still be sent, over all processes';
COMMENT ON COLUMN order_budgets.taken_at IS 'when each order of the last minute was allowed, oldest first';
COMMENT ON COLUMN order_budgets.trading_day IS 'Asia/Kolkata; taken_today counts its orders';
COMMENT ON COLUMN order_budgets.free_at IS 'no order may be sent to the account before this instant';

CREATE FUNCTION take_order_budget(
  of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer,
  OUT granted integer, OUT limited_by text, OUT free_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  -- A grant and its order are apart by what a sender takes for the call, so windows are a tenth of a second wider.
  a_second CONSTANT interval := interval '1.1 seconds';
  a_minute CONSTANT interval := interval '60.1 seconds';
  taken timestamptz;
  today date;
  budget order_budgets%ROWTYPE;
  recent timestamptz[];
  in_minute integer;
  in_second integer;
BEGIN
  INSERT INTO order_budgets (broker, account, trading_day)
  VALUES (of_broker, of_account, (clock_timestamp() AT TIME ZONE 'Asia/Kolkata')::date)
  ON CONFLICT DO NOTHING;
  SELECT * INTO budget FROM order_budgets b WHERE b.broker = of_broker AND b.account = of_account FOR UPDATE;
  taken := clock_timestamp();
  today := (taken AT TIME ZONE 'Asia/Kolkata')::date;
  IF budget.trading_day < today THEN
    budget.taken_today := 0;
  END IF;
  SELECT coalesce(array_agg(t ORDER BY t), '{}'), count(*), count(*) FILTER (WHERE t > taken - a_second)
    INTO recent, in_minute, in_second
    FROM unnest(budget.taken_at) AS t WHERE t > taken - a_minute;
  granted := greatest(0, least(wanted, per_second - in_second, per_minute - in_minute, per_day - budget.taken_today));
  recent := recent || array_fill(taken, ARRAY[granted]);
  in_second := in_second + granted;
  in_minute := in_minute + granted;
  budget.taken_today := budget.taken_today + granted;
  free_at := '-infinity';
  IF in_second >= per_second THEN
    free_at := recent[in_minute - per_second + 1] + a_second;
    limited_by := 'second';
  END IF;
  IF in_minute >= per_minute THEN
    free_at := greatest(free_at, recent[in_minute - per_minute + 1] + a_minute);
    limited_by := 'minute';
  END IF;
  IF budget.taken_today >= per_day THEN
    free_at := (today + 1)::timestamp AT TIME ZONE 'Asia/Kolkata';
    limited_by := 'day';
  END IF;
  UPDATE order_budgets b
     SET taken_at = recent, trading_day = today, taken_today = budget.taken_today, free_at = take_order_budget.free_at
   WHERE b.broker = of_broker AND b.account = of_account;
END
$$;
COMMENT ON FUNCTION take_order_budget IS
  'Take as many of the wanted orders as the account''s limits allow now; limited_by and free_at say what is used up';

CREATE FUNCTION exit_intents_to_send() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('exit_intents_to_send', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER exit_intents_to_send_insert AFTER INSERT ON exit_intents
  FOR EACH ROW WHEN (NEW.status = 'APPROVED' AND NEW.executable) EXECUTE FUNCTION exit_intents_to_send();
CREATE TRIGGER exit_intents_to_send_update AFTER UPDATE OF status ON exit_intents
  FOR EACH ROW WHEN (NEW.status = 'APPROVED' AND NEW.executable AND OLD.status = 'PENDING')
  EXECUTE FUNCTION exit_intents_to_send();

GRANT SELECT, INSERT, UPDATE ON order_budgets TO exitflow_exit;
"""

DOWNGRADE = """
DROP TRIGGER exit_intents_to_send_update ON exit_intents;
DROP TRIGGER exit_intents_to_send_insert ON exit_intents;
DROP FUNCTION exit_intents_to_send();
DROP FUNCTION take_order_budget(text, text, integer, integer, integer, integer);
DROP TABLE order_budgets;
"""


def upgrade() -> None:
    """Make the table, its function and the triggers."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.execute(DOWNGRADE)
