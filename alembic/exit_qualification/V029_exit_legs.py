"""Legs of target ladders: exits of a part of a trade, and a limit on what a trade's exits want together.

Revision ID: V029
Revises: V037
"""

from alembic import op

revision = "V029"
down_revision = "V037"
branch_labels = None
depends_on = None

LIVE = "'PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED'"
REASONS = "'STOP_LOSS', 'BREAK_EVEN', 'TRAILING_STOP', 'TIME', 'BRICK_REVERSAL', 'TARGET', 'MANUAL', 'EXTERNAL'"

GUARD = """
CREATE OR REPLACE FUNCTION exit_intents_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
      NEW.episode_id, NEW.client_order_id, NEW.executable{leg_new})
     IS DISTINCT FROM
     (OLD.intent_id, OLD.signal_id, OLD.trade_id, OLD.user_broker_id, OLD.symbol, OLD.direction, OLD.exit_reason,
      OLD.episode_id, OLD.client_order_id, OLD.executable{leg_old}) THEN
    RAISE EXCEPTION 'exit intent %: its identity cannot change', OLD.intent_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_identity';
  END IF;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;
"""

UPGRADE = f"""
ALTER TABLE exit_signals ADD COLUMN leg smallint CHECK (leg > 0);
COMMENT ON COLUMN exit_signals.leg IS 'leg of a target ladder; null for the whole remainder';
ALTER TABLE exit_intents
  ADD COLUMN leg smallint CHECK (leg > 0),
  ADD COLUMN beside_leg boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT exit_intents_beside_leg CHECK (leg IS NULL OR NOT beside_leg);
COMMENT ON COLUMN exit_intents.leg IS 'leg of a target ladder; null for the whole remainder';
COMMENT ON COLUMN exit_intents.beside_leg IS 'its quantity leaves out that of a leg that was live; filled, it leaves room for another exit';

CREATE UNIQUE INDEX exit_intents_one_of_leg ON exit_intents (trade_id, user_broker_id, coalesce(leg, 0))
 WHERE executable AND deleted_at IS NULL AND exit_reason <> 'EXTERNAL'
   AND (status IN ({LIVE}) OR status = 'FILLED' AND NOT beside_leg);
DROP INDEX exit_intents_one_live;
ALTER INDEX exit_intents_one_of_leg RENAME TO exit_intents_one_live;
COMMENT ON INDEX exit_intents_one_live IS 'one exit of the whole remainder and one of each leg, live or filled';

CREATE FUNCTION exit_slot(exit_reason text, leg smallint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN exit_reason || coalesce('/' || leg, '');
COMMENT ON FUNCTION exit_slot IS 'name of a rule within its trade, by which episodes and waiting work are kept';

CREATE OR REPLACE FUNCTION generate_exit_episodes(trade_ids uuid[], exit_reasons text[], cooldowns interval[])
RETURNS TABLE (trade_id uuid, exit_reason text, episode_id bigint) LANGUAGE sql AS $$
  WITH given AS (
    INSERT INTO exit_episodes AS e (trade_id, exit_reason, last_episode_id, cooldown_until)
    SELECT w.t, w.r, 1, clock_timestamp() + w.c
      FROM (SELECT DISTINCT ON (t, r) t, r, c FROM unnest(trade_ids, exit_reasons, cooldowns) AS u(t, r, c)
             ORDER BY t, r, c DESC) AS w
     ORDER BY w.t, w.r
    ON CONFLICT ON CONSTRAINT exit_episodes_pkey DO UPDATE
       SET last_episode_id = e.last_episode_id + 1, cooldown_until = EXCLUDED.cooldown_until
     WHERE e.cooldown_until <= clock_timestamp()
    RETURNING e.trade_id AS t, e.exit_reason AS r, e.last_episode_id AS n
  ), legs AS (
    SELECT g.t, g.r, split_part(g.r, '/', 1) AS reason, count(*) OVER of_reason AS legs,
           row_number() OVER (of_reason ORDER BY split_part(g.r, '/', 2)::smallint) AS nth
      FROM given g WHERE g.r LIKE '%/%'
    WINDOW of_reason AS (PARTITION BY g.t, split_part(g.r, '/', 1))
  ), numbered AS (
    INSERT INTO exit_episodes AS e (trade_id, exit_reason, last_episode_id)
    SELECT l.t, l.reason, max(l.legs) FROM legs l GROUP BY l.t, l.reason ORDER BY l.t, l.reason
    ON CONFLICT ON CONSTRAINT exit_episodes_pkey DO UPDATE
       SET last_episode_id = e.last_episode_id + EXCLUDED.last_episode_id
    RETURNING e.trade_id AS t, e.exit_reason AS r, e.last_episode_id AS n
  )
  SELECT g.t, g.r, g.n FROM given g WHERE g.r NOT LIKE '%/%'
  UNION ALL
  SELECT l.t, l.r, n.n - l.legs + l.nth FROM legs l JOIN numbered n ON n.t = l.t AND n.r = l.reason
$$;
COMMENT ON FUNCTION generate_exit_episodes IS 'The set-based generate_exit_episode: a row for each (trade, reason) that is eligible, none while its cooldown holds; a leg, as reason/leg, has a cooldown, and its number is the next of the trade and reason';

ALTER TABLE waiting_trades DROP CONSTRAINT waiting_trades_work_check;
ALTER TABLE waiting_trades ADD CONSTRAINT waiting_trades_work_check
CHECK (work = 'CLOSE' OR split_part(work, '/', 1) IN ({REASONS}));

CREATE FUNCTION exit_intents_check_quantity(of_trades uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  over record;
BEGIN
  PERFORM FROM open_trades t WHERE t.trade_id = ANY (of_trades) ORDER BY t.trade_id FOR UPDATE;
  SELECT t.trade_id, t.quantity, filled.quantity AS filled, wanted.quantity AS wanted INTO over
    FROM open_trades t
   CROSS JOIN LATERAL (SELECT coalesce(sum(f.quantity), 0) AS quantity
                         FROM exit_fills f WHERE f.trade_id = t.trade_id) AS filled
   CROSS JOIN LATERAL (SELECT coalesce(sum(i.quantity - i.filled_quantity), 0) AS quantity
                         FROM exit_intents i
                        WHERE i.trade_id = t.trade_id AND i.executable AND i.deleted_at IS NULL
                          AND i.exit_reason <> 'EXTERNAL' AND i.status IN ({LIVE})) AS wanted
   WHERE t.trade_id = ANY (of_trades) AND filled.quantity + wanted.quantity > t.quantity
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'exits of trade % want % with % filled, more than its quantity %',
                    over.trade_id, over.wanted, over.filled, over.quantity
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_within_trade';
  END IF;
END
$$;
COMMENT ON FUNCTION exit_intents_check_quantity IS 'Refuse exits that want more than their trade''s fills leave; locks the trades, so that writers see each other';

CREATE FUNCTION exit_intents_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of_trades uuid[];
BEGIN
  SELECT array_agg(DISTINCT w.trade_id) INTO of_trades FROM written w
   WHERE w.executable AND w.exit_reason <> 'EXTERNAL' AND w.status IN ({LIVE});
  IF of_trades IS NOT NULL THEN
    PERFORM exit_intents_check_quantity(of_trades);
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION exit_intents_wants_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM exit_intents_check_quantity(ARRAY[NEW.trade_id]);
  RETURN NULL;
END
$$;
CREATE TRIGGER exit_intents_within_trade_insert AFTER INSERT ON exit_intents
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION exit_intents_inserted();
CREATE TRIGGER exit_intents_within_trade_update AFTER UPDATE OF quantity ON exit_intents FOR EACH ROW
WHEN (NEW.executable AND NEW.exit_reason <> 'EXTERNAL' AND NEW.status IN ({LIVE})
      AND NEW.quantity - NEW.filled_quantity > OLD.quantity - OLD.filled_quantity)
EXECUTE FUNCTION exit_intents_wants_more();
"""  # noqa: S608  # our own lists

DOWNGRADE = f"""
DO $$
BEGIN
  IF EXISTS (SELECT FROM exit_intents WHERE leg IS NOT NULL OR beside_leg) THEN
    RAISE EXCEPTION 'there are exits of legs; the schema before them cannot hold these'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END
$$;
DROP TRIGGER exit_intents_within_trade_update ON exit_intents;
DROP TRIGGER exit_intents_within_trade_insert ON exit_intents;
DROP FUNCTION exit_intents_wants_more;
DROP FUNCTION exit_intents_inserted;
DROP FUNCTION exit_intents_check_quantity;
ALTER TABLE waiting_trades DROP CONSTRAINT waiting_trades_work_check;
ALTER TABLE waiting_trades ADD CONSTRAINT waiting_trades_work_check CHECK (work = 'CLOSE' OR work IN ({REASONS}));
CREATE OR REPLACE FUNCTION generate_exit_episodes(trade_ids uuid[], exit_reasons text[], cooldowns interval[])
RETURNS TABLE (trade_id uuid, exit_reason text, episode_id bigint) LANGUAGE sql AS $$
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
COMMENT ON FUNCTION generate_exit_episodes IS 'The set-based generate_exit_episode: a row for each (trade, reason) that is eligible, none while its cooldown holds';
DROP FUNCTION exit_slot;
CREATE UNIQUE INDEX exit_intents_one_before ON exit_intents (trade_id, user_broker_id)
 WHERE executable AND deleted_at IS NULL AND exit_reason <> 'EXTERNAL' AND status IN ({LIVE}, 'FILLED');
DROP INDEX exit_intents_one_live;
ALTER INDEX exit_intents_one_before RENAME TO exit_intents_one_live;
ALTER TABLE exit_intents DROP COLUMN leg, DROP COLUMN beside_leg;
ALTER TABLE exit_signals DROP COLUMN leg;
"""  # noqa: S608  # our own lists


def upgrade() -> None:
    """Add the columns and the limit; every exit before is of the whole remainder."""
    op.execute(UPGRADE)
    op.execute(GUARD.format(leg_new=", NEW.leg", leg_old=", OLD.leg"))


def downgrade() -> None:
    """Drop them, unless there are exits of legs."""
    op.execute(GUARD.format(leg_new="", leg_old=""))
    op.execute(DOWNGRADE)
