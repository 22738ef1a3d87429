"""Base: trades, their fills, closures and charges.

Revision ID: V001
"""

from alembic import op

revision = "V001"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE trades (
  trade_id uuid PRIMARY KEY,
  symbol text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT')),
  product_type text NOT NULL CHECK (product_type IN ('MIS', 'CNC')),
  user_broker_id text NOT NULL,
  quantity bigint NOT NULL CHECK (quantity > 0),
  open_quantity bigint NOT NULL CHECK (open_quantity BETWEEN 0 AND quantity),
  entry_price numeric(18,4) NOT NULL CHECK (entry_price > 0),
  exit_plan jsonb NOT NULL,
  entered_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'CLOSED')),
  exit_price numeric(18,4),
  exit_reason text,
  gross_pnl numeric(18,4),
  charges numeric(18,4),
  net_pnl numeric(18,4),
  closed_at timestamptz,
  exit_intent_id uuid,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  version integer NOT NULL DEFAULT 1,
  CONSTRAINT trades_exit_intent_key UNIQUE (exit_intent_id),
  CONSTRAINT trades_short_delivery CHECK (NOT (direction = 'SHORT' AND product_type = 'CNC')),
  CONSTRAINT trades_closed_by_intent CHECK ((status = 'CLOSED') = (exit_intent_id IS NOT NULL)
    AND (status = 'CLOSED') = (open_quantity = 0)
    AND (status = 'OPEN' OR (exit_price IS NOT NULL AND exit_reason IS NOT NULL AND gross_pnl IS NOT NULL
         AND charges IS NOT NULL AND net_pnl = gross_pnl - charges AND closed_at IS NOT NULL)))
);
COMMENT ON TABLE trades IS 'Every trade; trade management is its only writer';
COMMENT ON COLUMN trades.direction IS 'persisted when the trade is opened and never derived again';
COMMENT ON COLUMN trades.exit_intent_id IS 'the intent whose fills closed it';
CREATE INDEX trades_newest ON trades (created_at DESC, trade_id DESC);
CREATE INDEX trades_by_status ON trades (status, created_at DESC, trade_id DESC);
CREATE INDEX trades_by_symbol ON trades (symbol, created_at DESC, trade_id DESC);
CREATE INDEX trades_closed_at ON trades (closed_at) WHERE status = 'CLOSED';

CREATE TABLE trade_fills (
  trade_id uuid NOT NULL REFERENCES trades (trade_id),
  intent_id uuid NOT NULL,
  broker_order_id text NOT NULL,
  broker_trade_id text NOT NULL,
  exit_reason text NOT NULL,
  quantity bigint NOT NULL CHECK (quantity > 0),
  price numeric(18,4) NOT NULL CHECK (price > 0),
  filled_at timestamptz NOT NULL,
  late boolean NOT NULL DEFAULT false,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT trade_fills_identity UNIQUE (intent_id, broker_trade_id)
);
COMMENT ON TABLE trade_fills IS 'Exit fills as exits.intents.v1 told them, each stored once';
COMMENT ON COLUMN trade_fills.late IS 'came after the trade was closed: recorded and flagged, part of no closure';
CREATE INDEX trade_fills_of_trade ON trade_fills (trade_id, filled_at);

CREATE TABLE trade_closures (
  closure_id uuid PRIMARY KEY,
  trade_id uuid NOT NULL REFERENCES trades (trade_id),
  nth smallint NOT NULL CHECK (nth > 0),
  exit_intent_id uuid NOT NULL,
  exit_reason text NOT NULL,
  quantity bigint NOT NULL CHECK (quantity > 0),
  exit_price numeric(18,4) NOT NULL,
  gross_pnl numeric(18,4) NOT NULL,
  charges numeric(18,4) NOT NULL,
  net_pnl numeric(18,4) NOT NULL CHECK (net_pnl = gross_pnl - charges),
  final boolean NOT NULL,
  closed_at timestamptz NOT NULL,
  CONSTRAINT trade_closures_nth UNIQUE (trade_id, nth)
);
COMMENT ON TABLE trade_closures IS 'Each time fills closed a part, or the rest, of a trade';
CREATE UNIQUE INDEX trade_closures_final ON trade_closures (trade_id) WHERE final;

CREATE TABLE charge_schedules (
  product_type text NOT NULL CHECK (product_type IN ('MIS', 'CNC')),
  charge text NOT NULL CHECK (charge IN ('BROKERAGE', 'STT', 'EXCHANGE', 'SEBI', 'STAMP', 'GST', 'DEPOSITORY')),
  side text NOT NULL CHECK (side IN ('BUY', 'SELL', 'BOTH')),
  rate numeric(18,10) NOT NULL CHECK (rate >= 0),
  flat numeric(18,4) NOT NULL DEFAULT 0 CHECK (flat >= 0),
  maximum numeric(18,4),
  rounding text NOT NULL CHECK (rounding IN ('PAISA', 'RUPEE')),
  enabled boolean NOT NULL DEFAULT true,
  effective_from date NOT NULL,
  effective_to date,
  CHECK (effective_to IS NULL OR effective_to > effective_from),
  PRIMARY KEY (product_type, charge, side, effective_from)
);
COMMENT ON TABLE charge_schedules IS 'Rates of NSE equity by product, effective-dated';
COMMENT ON COLUMN charge_schedules.rate IS 'share of the order''s value; of brokerage + exchange + SEBI for GST';
COMMENT ON COLUMN charge_schedules.maximum IS 'the most a line can be per order';
COMMENT ON COLUMN charge_schedules.effective_to IS 'first day on which the row no longer holds';
INSERT INTO charge_schedules (product_type, charge, side, rate, flat, maximum, rounding, enabled, effective_from) VALUES
  ('MIS', 'BROKERAGE', 'BOTH', 0.0003, 0, 20, 'PAISA', true, '2024-10-01'),
  ('MIS', 'STT', 'SELL', 0.00025, 0, NULL, 'RUPEE', true, '2024-10-01'),
  ('MIS', 'EXCHANGE', 'BOTH', 0.0000307, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('MIS', 'SEBI', 'BOTH', 0.000001, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('MIS', 'STAMP', 'BUY', 0.00003, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('MIS', 'GST', 'BOTH', 0.18, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'BROKERAGE', 'BOTH', 0, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'STT', 'BOTH', 0.001, 0, NULL, 'RUPEE', true, '2024-10-01'),
  ('CNC', 'EXCHANGE', 'BOTH', 0.0000307, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'SEBI', 'BOTH', 0.000001, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'STAMP', 'BUY', 0.00015, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'GST', 'BOTH', 0.18, 0, NULL, 'PAISA', true, '2024-10-01'),
  ('CNC', 'DEPOSITORY', 'SELL', 0, 15.34, NULL, 'PAISA', false, '2024-10-01');

CREATE TABLE charge_lines (
  closure_id uuid NOT NULL REFERENCES trade_closures (closure_id),
  leg text NOT NULL CHECK (leg IN ('ENTRY', 'EXIT')),
  charge text NOT NULL,
  amount numeric(18,4) NOT NULL,
  status text NOT NULL DEFAULT 'ESTIMATED' CHECK (status IN ('ESTIMATED', 'FINAL')),
  PRIMARY KEY (closure_id, leg, charge)
);
COMMENT ON TABLE charge_lines IS 'What each closure cost, line by line; ESTIMATED until a contract note says FINAL';

CREATE TABLE api_tokens (
  token_hash bytea PRIMARY KEY,
  name text NOT NULL UNIQUE,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz
);
COMMENT ON TABLE api_tokens IS 'SHA-256 of each bearer token, and what it may do';

CREATE TABLE idempotency_keys (
  scope text NOT NULL,
  key text NOT NULL CHECK (length(key) <= 255),
  request_hash bytea NOT NULL,
  response_status smallint,
  response_body jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (scope, key)
);
COMMENT ON TABLE idempotency_keys IS 'The answer given to each Idempotency-Key, kept with what it caused';

CREATE TABLE inbox (
  consumer text NOT NULL,
  event_id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
);
COMMENT ON TABLE inbox IS 'Events that each consumer has acted upon';

GRANT USAGE ON SCHEMA trade_management TO exitflow_trade;
GRANT SELECT, INSERT, UPDATE ON trades, idempotency_keys TO exitflow_trade;
GRANT SELECT, INSERT ON trade_fills, trade_closures, charge_lines, inbox TO exitflow_trade;
GRANT SELECT ON charge_schedules, api_tokens TO exitflow_trade;
"""

DOWNGRADE = """
DROP TABLE inbox, idempotency_keys, api_tokens, charge_lines, charge_schedules, trade_closures, trade_fills, trades;
"""


def upgrade() -> None:
    """Make the tables and give the trade role what it needs."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.execute(DOWNGRADE)
