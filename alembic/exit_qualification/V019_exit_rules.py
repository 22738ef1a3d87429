"""What the engine keeps of every exit rule, so that a restart changes nothing.

Revision ID: V019
Revises: V018
"""

from alembic import op

revision = "V019"
down_revision = "V018"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE open_trades ADD COLUMN entered_tick bigint;
COMMENT ON COLUMN open_trades.entered_tick IS 'how many ticks the symbol had when the trade was first judged';

CREATE TABLE rule_states (
  trade_id uuid PRIMARY KEY,
  states jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE rule_states IS 'Where the exit rules of open trades stand that moved since entry; apart from open_trades, whose rows others lock';
COMMENT ON COLUMN rule_states.states IS 'by exit reason, or reason/leg';
GRANT SELECT, INSERT, UPDATE, DELETE ON rule_states TO exitflow_exit;

ALTER TABLE tick_symbols ADD COLUMN ticks bigint NOT NULL DEFAULT 0,
                         ADD COLUMN stairs jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN tick_symbols.ticks IS 'how many ticks the symbol had';
COMMENT ON COLUMN tick_symbols.stairs IS 'by direction, the ticks that say the watermarks of trailing stops: [number of the tick, price times the direction''s sign in 1/10,000 rupee], falling';

ALTER TABLE waiting_trades DROP CONSTRAINT waiting_trades_detected;
ALTER TABLE waiting_trades ADD CONSTRAINT waiting_trades_detected CHECK ((work = 'CLOSE') = (detected_at IS NULL));
ALTER TABLE waiting_trades ADD COLUMN exit_level numeric(18,4);
COMMENT ON COLUMN waiting_trades.exit_level IS 'as of exit_intents';
ALTER TABLE exit_intents ADD COLUMN exit_level numeric(18,4);
COMMENT ON COLUMN exit_intents.exit_level IS 'the level that the price reached; null where no price alone decides';
UPDATE exit_intents i
   SET exit_level = (t.exit_plan ->> CASE i.exit_reason WHEN 'TARGET' THEN 'target' ELSE 'stop_loss' END)::numeric
  FROM open_trades t
 WHERE t.trade_id = i.trade_id AND i.exit_reason IN ('TARGET', 'STOP_LOSS') AND i.status IN ('PENDING', 'APPROVED');
"""

DOWNGRADE = """
ALTER TABLE exit_intents DROP COLUMN exit_level;
ALTER TABLE waiting_trades DROP COLUMN exit_level, DROP CONSTRAINT waiting_trades_detected;
ALTER TABLE waiting_trades ADD CONSTRAINT waiting_trades_detected CHECK ((work = 'CLOSE') = (detected_price IS NULL)
  AND (work = 'CLOSE') = (detected_at IS NULL));
ALTER TABLE tick_symbols DROP COLUMN ticks, DROP COLUMN stairs;
DROP TABLE rule_states;
ALTER TABLE open_trades DROP COLUMN entered_tick;
"""


def upgrade() -> None:
    """Add the columns; intents that wait get the level they were detected at."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; moved stops and counted bricks are lost."""
    op.execute(DOWNGRADE)
