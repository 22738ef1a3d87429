-- exit_qualification: V001 to V010, as one transaction; written from the migration, do not edit.
-- Run it as the migrator: psql -v ON_ERROR_STOP=1 --file=FILE "$DATABASE_URL"

\set ON_ERROR_STOP on
SET search_path = exit_qualification;

BEGIN;

-- Running upgrade V001 -> V010

ALTER TABLE exit_episodes
  ADD COLUMN cooldown_until timestamptz NOT NULL DEFAULT '-infinity',
  ADD COLUMN failures smallint NOT NULL DEFAULT 0 CHECK (failures >= 0);
COMMENT ON COLUMN exit_episodes.cooldown_until IS 'no new episode before this instant, by the clock of the database';
COMMENT ON COLUMN exit_episodes.failures IS 'intents in a row that ended with quantity left; sets the back-off';

CREATE FUNCTION generate_exit_episodes(trade_ids uuid[], exit_reasons text[], cooldowns interval[])
RETURNS TABLE (trade_id uuid, exit_reason text, episode_id bigint)
LANGUAGE sql VOLATILE AS $$
  INSERT INTO exit_episodes AS e (trade_id, exit_reason, last_episode_id, cooldown_until)
  SELECT w.t, w.r, 1, clock_timestamp() + w.c
    FROM (SELECT DISTINCT ON (t, r) t, r, c FROM unnest(trade_ids, exit_reasons, cooldowns) AS u(t, r, c)
           ORDER BY t, r, c DESC) AS w
   ORDER BY w.t, w.r
  ON CONFLICT ON CONSTRAINT exit_episodes_pkey DO UPDATE
     SET last_episode_id = e.last_episode_id + 1, cooldown_until = EXCLUDED.cooldown_until
   WHERE e.cooldown_until <= clock_timestamp()
  RETURNING e.trade_id, e.exit_reason, e.last_episode_id
$$;
COMMENT ON FUNCTION generate_exit_episodes IS
  'The set-based generate_exit_episode: a row for each (trade, reason) that is eligible, none while its cooldown holds';

CREATE FUNCTION generate_exit_episode(trade_id uuid, exit_reason text, cooldown interval)
RETURNS bigint
LANGUAGE sql VOLATILE AS $$
  SELECT episode_id FROM generate_exit_episodes(ARRAY[$1], ARRAY[$2], ARRAY[$3])
$$;
COMMENT ON FUNCTION generate_exit_episode IS
  'The only source of episode ids and the only cooldown: one atomic upsert under the database''s clock; NULL means not eligible yet';

CREATE TABLE exit_intents (
  intent_id uuid PRIMARY KEY,
  signal_id uuid NOT NULL,
  trade_id uuid NOT NULL,
  user_broker_id text NOT NULL,
  symbol text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT')),
  exit_reason text NOT NULL,
  episode_id bigint NOT NULL,
  status text NOT NULL CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'SUBMITTING', 'UNKNOWN', 'PLACED',
                                         'PARTIALLY_FILLED', 'FILLED', 'CANCELLED', 'FAILED')),
  quantity bigint NOT NULL CHECK (quantity >= 0),
  filled_quantity bigint NOT NULL DEFAULT 0 CHECK (filled_quantity >= 0),
  average_price numeric(18,4),
  order_type text NOT NULL CHECK (order_type IN ('MARKET', 'LIMIT')),
  limit_price numeric(18,4),
  product_type text NOT NULL CHECK (product_type IN ('MIS', 'CNC')),
  detected_price numeric(18,4),
  executable boolean NOT NULL,
  gates jsonb NOT NULL,
  errors jsonb NOT NULL DEFAULT '[]',
  client_order_id text NOT NULL CHECK (client_order_id ~ '^[A-Z0-9]{20}$'),
  broker_order_id text,
  error_code text,
  error_message text,
  cancel_reason text,
  attempts smallint NOT NULL DEFAULT 0,
  late_filled boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  claimed_until timestamptz,
  submitted_at timestamptz,
  placed_at timestamptz,
  filled_at timestamptz,
  ended_at timestamptz,
  cancel_requested_at timestamptz,
  absent_since timestamptz,
  deleted_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  CONSTRAINT exit_intents_signal_fkey FOREIGN KEY (signal_id, trade_id, exit_reason, episode_id)
    REFERENCES exit_signals (signal_id, trade_id, exit_reason, episode_id),
  CONSTRAINT exit_intents_client_order_key UNIQUE (client_order_id),
  CONSTRAINT exit_intents_limit CHECK ((order_type = 'LIMIT') = (limit_price IS NOT NULL)),
  CONSTRAINT exit_intents_filled CHECK (status <> 'FILLED' OR (filled_quantity = quantity AND quantity > 0
    AND average_price IS NOT NULL AND filled_at IS NOT NULL AND broker_order_id IS NOT NULL)),
  CONSTRAINT exit_intents_failed CHECK (status <> 'FAILED' OR error_code IS NOT NULL),
  CONSTRAINT exit_intents_cancelled CHECK (status <> 'CANCELLED' OR cancel_reason IS NOT NULL),
  CONSTRAINT exit_intents_sent CHECK (submitted_at IS NOT NULL OR exit_reason = 'EXTERNAL'
    OR status IN ('PENDING', 'APPROVED', 'REJECTED', 'CANCELLED'))
);
COMMENT ON TABLE exit_intents IS 'Operations'' side of an exit: from the gates to the broker''s last word';
COMMENT ON COLUMN exit_intents.executable IS 'false: written in dark mode or outside the rollout''s list; never sent, holds no live slot';
COMMENT ON COLUMN exit_intents.gates IS 'every gate''s verdict with its input';
COMMENT ON COLUMN exit_intents.client_order_id IS 'the tag of its order at the broker';
COMMENT ON COLUMN exit_intents.attempts IS 'times it was handed to the broker; above one a resend looked its tag up first';
COMMENT ON COLUMN exit_intents.claimed_until IS 'until then a sender may be at work on it';
COMMENT ON COLUMN exit_intents.absent_since IS 'first complete read of the broker''s books that did not show its tag';
COMMENT ON COLUMN exit_intents.late_filled IS 'fills arrived after it had ended';
COMMENT ON COLUMN exit_intents.version IS 'raised by every change; a writer names the one it read';

CREATE UNIQUE INDEX exit_intents_idempotency ON exit_intents (trade_id, user_broker_id, exit_reason, episode_id)
  WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX exit_intents_one_live ON exit_intents (trade_id, user_broker_id)
  WHERE executable AND deleted_at IS NULL AND exit_reason <> 'EXTERNAL'
    AND status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED', 'FILLED');
CREATE INDEX exit_intents_pending ON exit_intents (status, created_at, intent_id)
  WHERE status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED');
CREATE INDEX exit_intents_broker_order ON exit_intents (broker_order_id) WHERE broker_order_id IS NOT NULL;
CREATE INDEX exit_intents_ended_sent ON exit_intents (user_broker_id, ended_at)
  WHERE status IN ('CANCELLED', 'FAILED') AND submitted_at IS NOT NULL;

CREATE TABLE exit_intent_transitions (
  from_status text NOT NULL,
  to_status text NOT NULL,
  only_if_sent boolean NOT NULL DEFAULT false,
  PRIMARY KEY (from_status, to_status)
);
COMMENT ON TABLE exit_intent_transitions IS 'The legal steps of an exit intent; the trigger refuses every other';
INSERT INTO exit_intent_transitions (from_status, to_status, only_if_sent) VALUES
  ('PENDING', 'APPROVED', false), ('PENDING', 'REJECTED', false), ('PENDING', 'CANCELLED', false),
  ('APPROVED', 'SUBMITTING', false), ('APPROVED', 'REJECTED', false), ('APPROVED', 'CANCELLED', false),
  ('SUBMITTING', 'PLACED', false), ('SUBMITTING', 'PARTIALLY_FILLED', false), ('SUBMITTING', 'FILLED', false),
  ('SUBMITTING', 'FAILED', false), ('SUBMITTING', 'UNKNOWN', false), ('SUBMITTING', 'APPROVED', false),
  ('UNKNOWN', 'PLACED', false), ('UNKNOWN', 'PARTIALLY_FILLED', false), ('UNKNOWN', 'FILLED', false),
  ('UNKNOWN', 'CANCELLED', false), ('UNKNOWN', 'FAILED', false),
  ('PLACED', 'PARTIALLY_FILLED', false), ('PLACED', 'FILLED', false), ('PLACED', 'CANCELLED', false),
  ('PLACED', 'FAILED', false),
  ('PARTIALLY_FILLED', 'PARTIALLY_FILLED', false), ('PARTIALLY_FILLED', 'FILLED', false),
  ('PARTIALLY_FILLED', 'CANCELLED', false),
  ('CANCELLED', 'FILLED', true), ('FAILED', 'FILLED', true);

CREATE FUNCTION exit_intents_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('PENDING', 'APPROVED', 'REJECTED') AND NEW.exit_reason <> 'EXTERNAL' THEN
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
      NEW.episode_id, NEW.client_order_id, NEW.executable)
     IS DISTINCT FROM
     (OLD.intent_id, OLD.signal_id, OLD.trade_id, OLD.user_broker_id, OLD.symbol, OLD.direction, OLD.exit_reason,
      OLD.episode_id, OLD.client_order_id, OLD.executable) THEN
    RAISE EXCEPTION 'exit intent %: its identity cannot change', OLD.intent_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_identity';
  END IF;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;
CREATE TRIGGER exit_intents_guard BEFORE INSERT OR UPDATE ON exit_intents
  FOR EACH ROW EXECUTE FUNCTION exit_intents_guard();

CREATE TABLE exit_fills (
  broker text NOT NULL,
  account text NOT NULL,
  trading_day date NOT NULL,
  exchange text NOT NULL,
  broker_order_id text NOT NULL,
  broker_trade_id text NOT NULL,
  intent_id uuid NOT NULL REFERENCES exit_intents (intent_id),
  trade_id uuid NOT NULL,
  quantity bigint NOT NULL CHECK (quantity > 0),
  price numeric(18,4) NOT NULL CHECK (price > 0),
  filled_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT exit_fills_identity UNIQUE (broker, account, trading_day, exchange, broker_order_id, broker_trade_id)
);
COMMENT ON TABLE exit_fills IS 'Executions at the broker, each stored once; their sum is the truth about an exit';
CREATE INDEX exit_fills_of_intent ON exit_fills (intent_id);
CREATE INDEX exit_fills_of_trade ON exit_fills (trade_id);

GRANT SELECT, INSERT, UPDATE ON exit_intents TO exitflow_exit;
GRANT SELECT, INSERT ON exit_fills TO exitflow_exit;
GRANT SELECT ON exit_intent_transitions TO exitflow_exit;

UPDATE exit_qualification.alembic_version SET version_num='V010' WHERE exit_qualification.alembic_version.version_num = 'V001';

COMMIT;

GRANT SELECT ON exit_qualification.alembic_version TO exitflow_exit, exitflow_relay;
