"""Hours of exchanges as effective-dated data, and the phase of each exchange now.

Revision ID: V025
Revises: V020
"""

from alembic import op

revision = "V025"
down_revision = "V020"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE market_calendars (
  exchange text NOT NULL CHECK (exchange ~ '^([A-Z0-9]{2,10}|[*])$'),
  valid_from date NOT NULL,
  valid_to date CHECK (valid_to >= valid_from),
  weekdays smallint[] NOT NULL,
  sessions jsonb NOT NULL,
  square_off jsonb NOT NULL,
  days jsonb NOT NULL,
  tick_fresh_ms integer NOT NULL CHECK (tick_fresh_ms > 0),
  loaded_by text NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (exchange, valid_from)
);
COMMENT ON TABLE market_calendars IS 'Hours of exchanges; of several that cover a day, the one with the latest valid_from counts';
COMMENT ON COLUMN market_calendars.exchange IS '* stands for every exchange without a calendar of the day';
COMMENT ON COLUMN market_calendars.weekdays IS 'ISO numbers of the days with the regular sessions';
COMMENT ON COLUMN market_calendars.sessions IS 'regular sessions [{phase, opens, closes}], HH:MM:SS in Asia/Kolkata';
COMMENT ON COLUMN market_calendars.square_off IS 'regular square-off times by product, HH:MM:SS in Asia/Kolkata';
COMMENT ON COLUMN market_calendars.days IS 'by date, days that differ from their weekday: {name, sessions, square_off}';
COMMENT ON COLUMN market_calendars.tick_fresh_ms IS 'an exit by price waits while the last tick or quote of its symbol is older';
GRANT SELECT, INSERT, UPDATE ON market_calendars TO exitflow_exit;

CREATE FUNCTION market_phase(calendar market_calendars, local timestamp) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT coalesce((
    SELECT session ->> 'phase'
      FROM jsonb_array_elements(
             CASE WHEN calendar.days ? to_char(local, 'YYYY-MM-DD')
                  THEN calendar.days -> to_char(local, 'YYYY-MM-DD') -> 'sessions'
                  WHEN extract(isodow FROM local)::smallint = ANY (calendar.weekdays) THEN calendar.sessions
                  ELSE '[]' END) AS session
     WHERE to_char(local, 'HH24:MI:SS') COLLATE "C" >= session ->> 'opens'
       AND to_char(local, 'HH24:MI:SS') COLLATE "C" < session ->> 'closes'
     LIMIT 1), 'CLOSED')
$$;
COMMENT ON FUNCTION market_phase IS 'phase of a calendar at a local time of a day that it covers';

CREATE VIEW market_now AS
SELECT DISTINCT ON (c.exchange) c.exchange, market_phase(c, now.local) AS phase, c.tick_fresh_ms
  FROM market_calendars c
 CROSS JOIN (SELECT clock_timestamp() AT TIME ZONE 'Asia/Kolkata' AS local) AS now
 WHERE c.valid_from <= now.local::date AND coalesce(c.valid_to >= now.local::date, true)
 ORDER BY c.exchange, c.valid_from DESC;
COMMENT ON VIEW market_now IS 'Phase of every exchange that has a calendar today';
GRANT SELECT ON market_now TO exitflow_exit;
"""

DOWNGRADE = """
DROP VIEW market_now;
DROP FUNCTION market_phase(market_calendars, timestamp);
DROP TABLE market_calendars;
"""


def upgrade() -> None:
    """Make the table; it is empty until an operator loads calendars."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop it; loaded calendars are lost."""
    op.execute(DOWNGRADE)
