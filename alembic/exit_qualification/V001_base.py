"""Base: open trades, signals, episodes, the tick worker's checkpoints, operators' switches.

Revision ID: V001
"""

from alembic import op

revision = "V001"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE user_brokers (
  user_broker_id text PRIMARY KEY CHECK (user_broker_id ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
  broker text NOT NULL,
  account text NOT NULL,
  root_url text NOT NULL,
  status text NOT NULL CHECK (status IN ('CONNECTED', 'DISCONNECTED')),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE user_brokers IS 'Accounts that exits are executed at; credentials are never kept here';
COMMENT ON COLUMN user_brokers.account IS 'the account as the broker names it';
COMMENT ON COLUMN user_brokers.root_url IS 'root of the broker''s HTTP API';

CREATE TABLE kill_switch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  mode text NOT NULL CHECK (mode IN ('OFF', 'ENTRIES_ONLY', 'ALL')),
  reason text NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE kill_switch IS 'One row: what an operator has stopped; read by every gate run';
INSERT INTO kill_switch (mode, reason, updated_by) VALUES ('OFF', 'initial', 'migration');

CREATE TABLE rollout (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  mode text NOT NULL CHECK (mode IN ('off', 'dark', 'limited', 'full')),
  symbols text[] NOT NULL DEFAULT '{}',
  user_broker_ids text[] NOT NULL DEFAULT '{}',
  reason text NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE rollout IS 'One row: how far the exit pipeline is switched on; a new installation starts off';
INSERT INTO rollout (mode, reason, updated_by) VALUES ('off', 'initial', 'migration');

CREATE TABLE audit_log (
  audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  before jsonb,
  after jsonb,
  reason text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE audit_log IS 'Every act of an operator; service roles may only add to it';

CREATE TABLE open_trades (
  trade_id uuid PRIMARY KEY,
  symbol text NOT NULL,
  partition integer NOT NULL,
  user_broker_id text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT')),
  product_type text NOT NULL CHECK (product_type IN ('MIS', 'CNC')),
  quantity bigint NOT NULL CHECK (quantity > 0),
  entry_price numeric(18,4) NOT NULL CHECK (entry_price > 0),
  exit_plan jsonb NOT NULL,
  entered_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'CLOSED')),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE open_trades IS 'Projection of trades.v1, the state store of the tick worker; its rows are the lock under which exits of a trade are decided';
COMMENT ON COLUMN open_trades.partition IS 'partition of trades.v1 and market.ticks.v1 that the symbol is on';
CREATE INDEX open_trades_of_partition ON open_trades (partition) WHERE status = 'OPEN';

CREATE TABLE exit_episodes (
  trade_id uuid NOT NULL,
  exit_reason text NOT NULL,
  last_episode_id bigint NOT NULL CHECK (last_episode_id >= 0),
  PRIMARY KEY (trade_id, exit_reason)
);
COMMENT ON TABLE exit_episodes IS 'The last episode of each (trade, reason)';

CREATE TABLE exit_signals (
  signal_id uuid PRIMARY KEY,
  trade_id uuid NOT NULL,
  symbol text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT')),
  exit_reason text NOT NULL,
  episode_id bigint NOT NULL,
  detected_price numeric(18,4),
  detected_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT exit_signals_episode_key UNIQUE (trade_id, exit_reason, episode_id),
  CONSTRAINT exit_signals_identity_key UNIQUE (signal_id, trade_id, exit_reason, episode_id)
);
COMMENT ON TABLE exit_signals IS 'Market logic said that a trade should exit';
COMMENT ON COLUMN exit_signals.xid IS 'the transaction that wrote it; tells whether its event is published';
COMMENT ON COLUMN exit_signals.detected_price IS 'the price that met the condition; null for a manual exit';

CREATE TABLE tick_partitions (
  partition integer PRIMARY KEY,
  tick_offset bigint NOT NULL DEFAULT 0,
  trade_offset bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0,
  owner text,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tick_partitions IS 'Next offsets to read of market.ticks.v1 and trades.v1, advanced in the transaction of the exits they caused';
COMMENT ON COLUMN tick_partitions.epoch IS 'raised by each new owner; a worker with an older one is fenced';

CREATE TABLE tick_symbols (
  symbol text PRIMARY KEY,
  partition integer NOT NULL,
  last_price numeric(18,4) NOT NULL,
  last_ts timestamptz NOT NULL,
  last_seq bigint NOT NULL,
  last_arrived_at timestamptz NOT NULL DEFAULT 'epoch',
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN tick_symbols.last_arrived_at IS 'when the last tick came to Kafka; last_ts is the market''s own time, of another day in a replay';
COMMENT ON TABLE tick_symbols IS 'The engine''s state of each symbol at the offsets of its partition';
CREATE INDEX tick_symbols_of_partition ON tick_symbols (partition);

CREATE TABLE log_identity (
  topic text PRIMARY KEY,
  cluster_id text NOT NULL,
  topic_id text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE log_identity IS 'Which Kafka log the stored offsets belong to';

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

GRANT USAGE ON SCHEMA exit_qualification TO exitflow_exit;
GRANT SELECT, INSERT, UPDATE ON user_brokers, open_trades, exit_episodes, tick_partitions, tick_symbols,
  log_identity, idempotency_keys TO exitflow_exit;
GRANT SELECT, UPDATE ON kill_switch, rollout TO exitflow_exit;
GRANT SELECT, INSERT ON exit_signals, inbox, audit_log TO exitflow_exit;
GRANT DELETE ON log_identity TO exitflow_exit;
GRANT SELECT ON api_tokens TO exitflow_exit;
"""

DOWNGRADE = """
DROP TABLE inbox, idempotency_keys, api_tokens, log_identity, tick_symbols, tick_partitions, exit_signals,
  exit_episodes, open_trades, audit_log, rollout, kill_switch, user_brokers;
"""


def upgrade() -> None:
    """Make the tables and give the exit role what it needs."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.execute(DOWNGRADE)
