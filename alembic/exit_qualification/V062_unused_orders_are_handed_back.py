"""A sender hands back orders that it was granted and did not send: they count from their next grant. Only expands.

Revision ID: V062
Revises: V061
"""

from alembic import op

revision = "V062"
down_revision = "V061"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION take_order_budget(
  of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer,
  unused integer, unused_at timestamptz,
  OUT granted integer, OUT limited_by text, OUT free_at timestamptz, OUT taken_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  -- A grant and its order are apart by what a sender takes for the call, so windows are a tenth of a second wider.
  a_second CONSTANT interval := interval '1.1 seconds';
  a_minute CONSTANT interval := interval '60.1 seconds';
  today date;
  budget order_budgets%ROWTYPE;
  recent timestamptz[];
  in_minute integer;
  in_second integer;
  place integer;
BEGIN
  INSERT INTO order_budgets (broker, account, trading_day)
  VALUES (of_broker, of_account, (clock_timestamp() AT TIME ZONE 'Asia/Kolkata')::date)
  ON CONFLICT DO NOTHING;
  SELECT * INTO budget FROM order_budgets b WHERE b.broker = of_broker AND b.account = of_account FOR UPDATE;
  FOR nth IN 1 .. unused LOOP
    place := array_position(budget.taken_at, unused_at);
    EXIT WHEN place IS NULL;
    budget.taken_at := budget.taken_at[: place - 1] || budget.taken_at[place + 1 :];
    budget.taken_today := greatest(0, budget.taken_today - 1);
  END LOOP;
  taken_at := clock_timestamp();
  today := (taken_at AT TIME ZONE 'Asia/Kolkata')::date;
  IF budget.trading_day < today THEN
    budget.taken_today := 0;
  END IF;
  SELECT coalesce(array_agg(t ORDER BY t), '{}'), count(*),
         count(*) FILTER (WHERE t > take_order_budget.taken_at - a_second)
    INTO recent, in_minute, in_second
    FROM unnest(budget.taken_at) AS t WHERE t > take_order_budget.taken_at - a_minute;
  granted := greatest(0, least(wanted, per_second - in_second, per_minute - in_minute, per_day - budget.taken_today));
  recent := recent || array_fill(take_order_budget.taken_at, ARRAY[granted]);
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
COMMENT ON FUNCTION take_order_budget(text, text, integer, integer, integer, integer, integer, timestamptz) IS
  'Take as many of the wanted orders as the account''s limits allow now, after handing back orders granted at unused_at '
  'and not sent; limited_by and free_at say what is used up';

CREATE OR REPLACE FUNCTION take_order_budget(
  of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer,
  OUT granted integer, OUT limited_by text, OUT free_at timestamptz)
LANGUAGE sql VOLATILE AS $$
SELECT granted, limited_by, free_at
  FROM take_order_budget(of_broker, of_account, wanted, per_second, per_minute, per_day, 0, NULL)
$$;
"""

DOWNGRADE = """
CREATE OR REPLACE FUNCTION take_order_budget(
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
DROP FUNCTION take_order_budget(text, text, integer, integer, integer, integer, integer, timestamptz);
"""


def upgrade() -> None:
    """Make the function; the one without `unused` calls it."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Restore the function without `unused`."""
    op.execute(DOWNGRADE)
