-- Schema exit_qualification at its newest revision; written by `make sql` from a migrated database, do not edit.
-- Partitions are left out: the relay makes and drops them.

CREATE FUNCTION exit_qualification.exit_intents_beside_protective_stop() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
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

CREATE FUNCTION exit_qualification.exit_intents_check_quantity(of_trades uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
DECLARE
  over record;
BEGIN
  PERFORM FROM open_trades t WHERE t.trade_id = ANY (of_trades) ORDER BY t.trade_id FOR UPDATE;
  SELECT t.trade_id, t.quantity, filled.quantity AS filled, wanted.quantity AS wanted INTO over
    FROM open_trades t
   CROSS JOIN LATERAL (SELECT coalesce(sum(f.quantity), 0) AS quantity
                         FROM exit_fills f WHERE f.trade_id = t.trade_id) AS filled
   CROSS JOIN LATERAL (SELECT coalesce(sum(i.quantity - i.filled_quantity), 0) AS quantity
                         FROM (SELECT * FROM exit_intents e WHERE e.trade_id = t.trade_id AND e.deleted_at IS NULL OFFSET 0) i
                        WHERE i.executable
                          AND i.exit_reason <> 'EXTERNAL' AND i.status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')) AS wanted
   WHERE t.trade_id = ANY (of_trades) AND filled.quantity + wanted.quantity > t.quantity
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'exits of trade % want % with % filled, more than its quantity %',
                    over.trade_id, over.wanted, over.filled, over.quantity
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_within_trade';
  END IF;
END
$$;

COMMENT ON FUNCTION exit_qualification.exit_intents_check_quantity(of_trades uuid[]) IS 'Refuse exits that want more than their trade''s fills leave; locks the trades, so that writers see each other';

CREATE FUNCTION exit_qualification.exit_intents_guard() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('PENDING', 'APPROVED', 'REJECTED') AND NEW.exit_reason <> 'EXTERNAL'
       AND NOT (NEW.status = 'CANCELLED' AND EXISTS (
         SELECT FROM protective_stops s
          WHERE s.client_order_id = NEW.client_order_id AND s.trade_id = NEW.trade_id AND s.ended_at IS NOT NULL)) THEN
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
      NEW.episode_id, NEW.client_order_id, NEW.executable, NEW.leg)
     IS DISTINCT FROM
     (OLD.intent_id, OLD.signal_id, OLD.trade_id, OLD.user_broker_id, OLD.symbol, OLD.direction, OLD.exit_reason,
      OLD.episode_id, OLD.client_order_id, OLD.executable, OLD.leg) THEN
    RAISE EXCEPTION 'exit intent %: its identity cannot change', OLD.intent_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_intents_identity';
  END IF;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;

CREATE FUNCTION exit_qualification.exit_intents_inserted() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
DECLARE
  of_trades uuid[];
  to_send boolean;
BEGIN
  SELECT array_agg(DISTINCT w.trade_id) FILTER (WHERE w.exit_reason <> 'EXTERNAL' AND w.status IN ('PENDING', 'APPROVED', 'SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED')),
         bool_or(w.status = 'APPROVED')
    INTO of_trades, to_send
    FROM written w WHERE w.executable;
  IF of_trades IS NOT NULL THEN
    PERFORM exit_intents_check_quantity(of_trades);
  END IF;
  IF to_send THEN
    PERFORM pg_notify('exit_intents_to_send', '');
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION exit_qualification.exit_intents_to_send() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
BEGIN
  PERFORM pg_notify('exit_intents_to_send', '');
  RETURN NULL;
END
$$;

CREATE FUNCTION exit_qualification.exit_intents_wants_more() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
BEGIN
  PERFORM exit_intents_check_quantity(ARRAY[NEW.trade_id]);
  RETURN NULL;
END
$$;

CREATE FUNCTION exit_qualification.exit_slot(exit_reason text, leg smallint) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN (exit_reason || COALESCE(('/'::text || leg), ''::text));

COMMENT ON FUNCTION exit_qualification.exit_slot(exit_reason text, leg smallint) IS 'name of a rule within its trade, by which episodes and waiting work are kept';

CREATE FUNCTION exit_qualification.generate_exit_episode(trade_id uuid, exit_reason text, cooldown interval) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $_$
  SELECT episode_id FROM generate_exit_episodes(ARRAY[$1], ARRAY[$2], ARRAY[$3])
$_$;

COMMENT ON FUNCTION exit_qualification.generate_exit_episode(trade_id uuid, exit_reason text, cooldown interval) IS 'The only source of episode ids and the only cooldown: one atomic upsert under the database''s clock; NULL means not eligible yet';

CREATE FUNCTION exit_qualification.generate_exit_episodes(trade_ids uuid[], exit_reasons text[], cooldowns interval[]) RETURNS TABLE(trade_id uuid, exit_reason text, episode_id bigint)
    LANGUAGE sql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION exit_qualification.generate_exit_episodes(trade_ids uuid[], exit_reasons text[], cooldowns interval[]) IS 'The set-based generate_exit_episode: a row for each (trade, reason) that is eligible, none while its cooldown holds; a leg, as reason/leg, has a cooldown, and its number is the next of the trade and reason';

CREATE TABLE exit_qualification.market_calendars (
    exchange text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    weekdays smallint[] NOT NULL,
    sessions jsonb NOT NULL,
    square_off jsonb NOT NULL,
    days jsonb NOT NULL,
    tick_fresh_ms integer NOT NULL,
    loaded_by text NOT NULL,
    loaded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT market_calendars_check CHECK ((valid_to >= valid_from)),
    CONSTRAINT market_calendars_exchange_check CHECK ((exchange ~ '^([A-Z0-9]{2,10}|[*])$'::text)),
    CONSTRAINT market_calendars_tick_fresh_ms_check CHECK ((tick_fresh_ms > 0))
);

COMMENT ON TABLE exit_qualification.market_calendars IS 'Hours of exchanges; of several that cover a day, the one with the latest valid_from counts';

COMMENT ON COLUMN exit_qualification.market_calendars.exchange IS '* stands for every exchange without a calendar of the day';

COMMENT ON COLUMN exit_qualification.market_calendars.weekdays IS 'ISO numbers of the days with the regular sessions';

COMMENT ON COLUMN exit_qualification.market_calendars.sessions IS 'regular sessions [{phase, opens, closes}], HH:MM:SS in Asia/Kolkata';

COMMENT ON COLUMN exit_qualification.market_calendars.square_off IS 'regular square-off times by product, HH:MM:SS in Asia/Kolkata';

COMMENT ON COLUMN exit_qualification.market_calendars.days IS 'by date, days that differ from their weekday: {name, sessions, square_off}';

COMMENT ON COLUMN exit_qualification.market_calendars.tick_fresh_ms IS 'an exit by price waits while the last tick or quote of its symbol is older';

CREATE FUNCTION exit_qualification.market_phase(calendar exit_qualification.market_calendars, local timestamp without time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
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

COMMENT ON FUNCTION exit_qualification.market_phase(calendar exit_qualification.market_calendars, local timestamp without time zone) IS 'phase of a calendar at a local time of a day that it covers';

CREATE FUNCTION exit_qualification.outbox_close_partition(name text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $_$
DECLARE
  part record;
  looked_at xid8;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'what was committed before the lock is only seen in READ COMMITTED'
      USING ERRCODE = 'invalid_transaction_state';
  END IF;
  looked_at := pg_snapshot_xmin(pg_current_snapshot());
  SELECT p.* INTO part FROM outbox_partition_range p WHERE p.name = $1 AND p.state = 'live';
  IF NOT FOUND THEN
    RETURN 'not live';
  ELSIF part.until_at > clock_timestamp() THEN
    RETURN 'not over';
  ELSIF outbox_partition_held_by(name) <> '{}' THEN
    RETURN 'unpublished';
  ELSIF outbox_partition_largest_xid(name) >= looked_at THEN
    RETURN 'busy';
  END IF;
  -- Parent first: that is the order of everybody who reads or writes through it. Once both are locked no
  -- transaction that wrote here is at work, and the next statement sees all that they committed. What was over
  -- at the first look was seen then, and is published.
  LOCK TABLE ONLY outbox_event IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name);
  IF outbox_partition_largest_xid(name) >= looked_at THEN
    RETURN 'busy';
  END IF;
  EXECUTE format('ALTER TABLE outbox_event DETACH PARTITION %I', name);
  EXECUTE format('ALTER TABLE outbox_archive ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                 name, part.from_at, part.until_at);
  RETURN 'closed';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $_$;

COMMENT ON FUNCTION exit_qualification.outbox_close_partition(name text) IS 'Archive a partition whose day is over and published: closed, unpublished, not over, not live, busy (try again)';

CREATE FUNCTION exit_qualification.outbox_drop_partition(name text, retention_days integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $_$
BEGIN
  IF retention_days < 1 THEN
    RAISE EXCEPTION 'what is kept is kept for a day at least' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT EXISTS (SELECT FROM outbox_partition_range p WHERE p.name = $1 AND p.state = 'closed'
                    AND p.until_at <= clock_timestamp() - make_interval(days => retention_days)) THEN
    RETURN 'kept';
  END IF;
  EXECUTE format('DROP TABLE %I', name);
  RETURN 'dropped';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $_$;

COMMENT ON FUNCTION exit_qualification.outbox_drop_partition(name text, retention_days integer) IS 'Drop a closed partition that ended so many days ago: dropped, kept, busy; it locks nobody out of outbox_event';

CREATE FUNCTION exit_qualification.outbox_empty_default(retention_days integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $$
DECLARE
  looked_at xid8;
  largest xid8;
BEGIN
  IF retention_days < 1 THEN
    RAISE EXCEPTION 'what is kept is kept for a day at least' USING ERRCODE = 'invalid_parameter_value';
  ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'what was committed before the lock is only seen in READ COMMITTED'
      USING ERRCODE = 'invalid_transaction_state';
  END IF;
  looked_at := pg_snapshot_xmin(pg_current_snapshot());
  largest := outbox_partition_largest_xid('outbox_event_default');
  IF largest IS NULL THEN
    RETURN 'empty';
  ELSIF outbox_partition_held_by('outbox_event_default') <> '{}' THEN
    RETURN 'unpublished';
  ELSIF largest >= looked_at THEN
    RETURN 'busy';
  ELSIF EXISTS (SELECT FROM outbox_event_default
                 WHERE created_at > clock_timestamp() - make_interval(days => retention_days)) THEN
    RETURN 'young';
  END IF;
  LOCK TABLE outbox_event_default IN ACCESS EXCLUSIVE MODE;
  -- What was over at the first look was seen then; reading dates again would take long.
  IF outbox_partition_largest_xid('outbox_event_default') >= looked_at THEN
    RETURN 'busy';
  END IF;
  TRUNCATE outbox_event_default;
  RETURN 'emptied';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $$;

COMMENT ON FUNCTION exit_qualification.outbox_empty_default(retention_days integer) IS 'Truncate the default partition once all in it is published and so old: emptied, empty, unpublished, young, busy';

CREATE FUNCTION exit_qualification.outbox_make_partition(day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $$
DECLARE
  name text := 'outbox_event_' || to_char(day, 'YYYYMMDD');
  from_at timestamptz := day;
  until_at timestamptz := day + 1;
BEGIN
  IF day NOT BETWEEN current_date AND current_date + 31 THEN
    RAISE EXCEPTION 'partitions are made for the next 31 days, not for %', day
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF to_regclass(name) IS NOT NULL THEN
    RETURN 'exists';
  END IF;
  IF EXISTS (SELECT FROM outbox_event_default WHERE created_at >= from_at AND created_at < until_at) THEN
    RETURN 'in default';
  END IF;
  -- Attaching leaves writers of other partitions alone; PARTITION OF would lock them all out.
  EXECUTE format('CREATE TABLE %I (LIKE outbox_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
                                   CONSTRAINT of_its_day CHECK (created_at >= %L AND created_at < %L))',
                 name, from_at, until_at);
  IF day = current_date THEN
    -- A writer on its way to the default partition would be refused once today is not the default's any more.
    LOCK TABLE outbox_event IN SHARE ROW EXCLUSIVE MODE;
  END IF;
  EXECUTE format('ALTER TABLE outbox_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, from_at, until_at);
  RETURN 'made';
EXCEPTION
  WHEN check_violation THEN
    RETURN 'in default';
  WHEN lock_not_available THEN
    RETURN 'busy';
END $$;

COMMENT ON FUNCTION exit_qualification.outbox_make_partition(day date) IS 'Make the partition of a day (UTC): made, exists, busy, or in default, which already holds events of that day';

CREATE FUNCTION exit_qualification.outbox_partition_held_by(name text) RETURNS smallint[]
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $_$
DECLARE
  shards smallint[];
BEGIN
  EXECUTE format(
    'SELECT coalesce(array_agg(s.shard ORDER BY s.shard), ''{}'') FROM outbox_shard s
      WHERE EXISTS (SELECT FROM %1$I e WHERE e.shard = s.shard AND e.xid >= pg_snapshot_xmax(s.snap))
         OR EXISTS (SELECT FROM pg_snapshot_xip(s.snap) AS was_at_work(xid)
                     CROSS JOIN LATERAL (SELECT FROM %1$I e WHERE e.shard = s.shard AND e.xid = was_at_work.xid
                                          LIMIT 1) late)', name)
     INTO shards;
  RETURN shards;
END $_$;

COMMENT ON FUNCTION exit_qualification.outbox_partition_held_by(name text) IS 'The shards that are not known to have published all of a partition';

CREATE FUNCTION exit_qualification.outbox_partition_largest_xid(name text) RETURNS xid8
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
  largest xid8;
BEGIN
  EXECUTE format(
    'SELECT max(last.xid) FROM generate_series(0, 63) AS s(shard)
      CROSS JOIN LATERAL (SELECT xid FROM %I e WHERE e.shard = s.shard ORDER BY xid DESC LIMIT 1) last', name)
     INTO largest;
  RETURN largest;
END $$;

COMMENT ON FUNCTION exit_qualification.outbox_partition_largest_xid(name text) IS 'The largest xid in a partition, by a look into its index a shard';

CREATE FUNCTION exit_qualification.outbox_partitions() RETURNS TABLE(name text, state text, from_at timestamp with time zone, until_at timestamp with time zone, events bigint, bytes bigint, largest_xid xid8, held_by smallint[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
DECLARE
  part record;
BEGIN
  FOR part IN SELECT * FROM outbox_partition_range LOOP
    name := part.name;
    state := part.state;
    from_at := part.from_at;
    until_at := part.until_at;
    events := pg_stat_get_live_tuples(part.oid);
    bytes := pg_total_relation_size(part.oid);
    largest_xid := NULL;
    held_by := '{}';
    BEGIN
      IF part.live THEN
        largest_xid := outbox_partition_largest_xid(name);
        held_by := outbox_partition_held_by(name);
      END IF;
      RETURN NEXT;
    EXCEPTION WHEN undefined_table THEN
      NULL; -- dropped since it was listed
    END;
  END LOOP;
END $$;

COMMENT ON FUNCTION exit_qualification.outbox_partitions() IS 'What stands behind the view outbox_partition';

CREATE FUNCTION exit_qualification.protective_stops_step() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
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

CREATE FUNCTION exit_qualification.take_order_budget(of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer, OUT granted integer, OUT limited_by text, OUT free_at timestamp with time zone) RETURNS record
    LANGUAGE sql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
SELECT granted, limited_by, free_at
  FROM take_order_budget(of_broker, of_account, wanted, per_second, per_minute, per_day, 0, NULL)
$$;

COMMENT ON FUNCTION exit_qualification.take_order_budget(of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer, OUT granted integer, OUT limited_by text, OUT free_at timestamp with time zone) IS 'Take as many of the wanted orders as the account''s limits allow now; limited_by and free_at say what is used up';

CREATE FUNCTION exit_qualification.take_order_budget(of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer, unused integer, unused_at timestamp with time zone, OUT granted integer, OUT limited_by text, OUT free_at timestamp with time zone, OUT taken_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'exit_qualification', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION exit_qualification.take_order_budget(of_broker text, of_account text, wanted integer, per_second integer, per_minute integer, per_day integer, unused integer, unused_at timestamp with time zone, OUT granted integer, OUT limited_by text, OUT free_at timestamp with time zone, OUT taken_at timestamp with time zone) IS 'Take as many of the wanted orders as the account''s limits allow now, after handing back orders granted at unused_at and not sent; limited_by and free_at say what is used up';

CREATE TABLE exit_qualification.account_loss_limits (
    user_broker_id text NOT NULL,
    loss_limit numeric(18,4),
    basis text NOT NULL,
    trading_day date NOT NULL,
    opening_pnl numeric NOT NULL,
    peak_pnl numeric NOT NULL,
    realised_pnl numeric NOT NULL,
    unrealised_pnl numeric NOT NULL,
    judged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT account_loss_limits_basis_check CHECK ((basis = ANY (ARRAY['START_OF_DAY'::text, 'PEAK'::text]))),
    CONSTRAINT account_loss_limits_loss_limit_check CHECK ((loss_limit > (0)::numeric)),
    CONSTRAINT account_loss_limits_peak CHECK ((peak_pnl >= opening_pnl))
);

COMMENT ON TABLE exit_qualification.account_loss_limits IS 'How much an account may lose in a day, and its profit and loss as judged last';

COMMENT ON COLUMN exit_qualification.account_loss_limits.loss_limit IS 'in rupees; null: the account has no limit';

COMMENT ON COLUMN exit_qualification.account_loss_limits.basis IS 'the loss counts from the start of the day or from the highest profit and loss since';

COMMENT ON COLUMN exit_qualification.account_loss_limits.opening_pnl IS 'profit and loss from which the loss of the day counts: at its start, at the first setting of the limit, or at the release of a hold';

COMMENT ON COLUMN exit_qualification.account_loss_limits.peak_pnl IS 'highest profit and loss since the opening';

COMMENT ON COLUMN exit_qualification.account_loss_limits.realised_pnl IS 'of the fills of the trading day, against the entry prices, before charges';

COMMENT ON COLUMN exit_qualification.account_loss_limits.unrealised_pnl IS 'of what is open, at the last prices';

CREATE TABLE exit_qualification.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE exit_qualification.api_tokens (
    token_hash bytea NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone
);

COMMENT ON TABLE exit_qualification.api_tokens IS 'SHA-256 of each bearer token, and what it may do';

CREATE TABLE exit_qualification.audit_log (
    audit_id bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.audit_log IS 'Every act of an operator; service roles may only add to it';

ALTER TABLE exit_qualification.audit_log ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME exit_qualification.audit_log_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE exit_qualification.consumer_gaps (
    gap_id bigint NOT NULL,
    consumer text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    kind text NOT NULL,
    first_offset bigint NOT NULL,
    missed bigint NOT NULL,
    noticed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    acknowledged_at timestamp with time zone,
    CONSTRAINT consumer_gaps_first_offset_check CHECK ((first_offset >= 0)),
    CONSTRAINT consumer_gaps_kind_check CHECK ((kind = ANY (ARRAY['records_removed'::text, 'topic_replaced'::text, 'position_beyond_end'::text]))),
    CONSTRAINT consumer_gaps_missed_check CHECK ((missed >= 0))
);

COMMENT ON TABLE exit_qualification.consumer_gaps IS 'Records that a consumer did not or may not have read; its process is not ready until each gap is acknowledged';

COMMENT ON COLUMN exit_qualification.consumer_gaps.partition IS '-1: any partition of the topic';

COMMENT ON COLUMN exit_qualification.consumer_gaps.first_offset IS 'the first record that was missed';

COMMENT ON COLUMN exit_qualification.consumer_gaps.missed IS 'records known to be missed; more may be where a topic was replaced';

ALTER TABLE exit_qualification.consumer_gaps ALTER COLUMN gap_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME exit_qualification.consumer_gaps_gap_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE exit_qualification.exit_episodes (
    trade_id uuid NOT NULL,
    exit_reason text NOT NULL,
    last_episode_id bigint NOT NULL,
    cooldown_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    failures smallint DEFAULT 0 NOT NULL,
    CONSTRAINT exit_episodes_failures_check CHECK ((failures >= 0)),
    CONSTRAINT exit_episodes_last_episode_id_check CHECK ((last_episode_id >= 0))
);

COMMENT ON TABLE exit_qualification.exit_episodes IS 'The last episode of each (trade, reason)';

COMMENT ON COLUMN exit_qualification.exit_episodes.cooldown_until IS 'no new episode before this instant, by the clock of the database';

COMMENT ON COLUMN exit_qualification.exit_episodes.failures IS 'intents in a row that ended with quantity left; sets the back-off';

CREATE TABLE exit_qualification.exit_fills (
    broker text NOT NULL,
    account text NOT NULL,
    trading_day date NOT NULL,
    exchange text NOT NULL,
    broker_order_id text NOT NULL,
    broker_trade_id text NOT NULL,
    intent_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    quantity bigint NOT NULL,
    price numeric(18,4) NOT NULL,
    filled_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT exit_fills_price_check CHECK ((price > (0)::numeric)),
    CONSTRAINT exit_fills_quantity_check CHECK ((quantity > 0))
);

COMMENT ON TABLE exit_qualification.exit_fills IS 'Executions at the broker, each stored once; their sum is the truth about an exit';

CREATE TABLE exit_qualification.exit_intent_transitions (
    from_status text NOT NULL,
    to_status text NOT NULL,
    only_if_sent boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE exit_qualification.exit_intent_transitions IS 'The legal steps of an exit intent; the trigger refuses every other';

CREATE TABLE exit_qualification.exit_intents (
    intent_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    user_broker_id text NOT NULL,
    symbol text NOT NULL,
    direction text NOT NULL,
    exit_reason text NOT NULL,
    episode_id bigint NOT NULL,
    status text NOT NULL,
    quantity bigint NOT NULL,
    filled_quantity bigint DEFAULT 0 NOT NULL,
    average_price numeric(18,4),
    order_type text NOT NULL,
    limit_price numeric(18,4),
    product_type text NOT NULL,
    detected_price numeric(18,4),
    executable boolean NOT NULL,
    gates jsonb NOT NULL,
    errors jsonb DEFAULT '[]'::jsonb NOT NULL,
    client_order_id text NOT NULL,
    broker_order_id text,
    error_code text,
    error_message text,
    cancel_reason text,
    attempts smallint DEFAULT 0 NOT NULL,
    late_filled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    claimed_until timestamp with time zone,
    submitted_at timestamp with time zone,
    placed_at timestamp with time zone,
    filled_at timestamp with time zone,
    ended_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    absent_since timestamp with time zone,
    deleted_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    exit_level numeric(18,4),
    leg smallint,
    beside_leg boolean DEFAULT false NOT NULL,
    CONSTRAINT exit_intents_beside_leg CHECK (((leg IS NULL) OR (NOT beside_leg))),
    CONSTRAINT exit_intents_cancelled CHECK (((status <> 'CANCELLED'::text) OR (cancel_reason IS NOT NULL))),
    CONSTRAINT exit_intents_client_order_id_check CHECK ((client_order_id ~ '^[A-Z0-9]{20}$'::text)),
    CONSTRAINT exit_intents_direction_check CHECK ((direction = ANY (ARRAY['LONG'::text, 'SHORT'::text]))),
    CONSTRAINT exit_intents_failed CHECK (((status <> 'FAILED'::text) OR (error_code IS NOT NULL))),
    CONSTRAINT exit_intents_filled CHECK (((status <> 'FILLED'::text) OR ((filled_quantity >= quantity) AND (quantity > 0) AND (average_price IS NOT NULL) AND (filled_at IS NOT NULL) AND (broker_order_id IS NOT NULL)))),
    CONSTRAINT exit_intents_filled_quantity_check CHECK ((filled_quantity >= 0)),
    CONSTRAINT exit_intents_leg_check CHECK ((leg > 0)),
    CONSTRAINT exit_intents_limit CHECK (((order_type = 'LIMIT'::text) = (limit_price IS NOT NULL))),
    CONSTRAINT exit_intents_order_type_check CHECK ((order_type = ANY (ARRAY['MARKET'::text, 'LIMIT'::text]))),
    CONSTRAINT exit_intents_product_type_check CHECK ((product_type = ANY (ARRAY['MIS'::text, 'CNC'::text, 'NRML'::text]))),
    CONSTRAINT exit_intents_quantity_check CHECK ((quantity >= 0)),
    CONSTRAINT exit_intents_sent CHECK (((submitted_at IS NOT NULL) OR (exit_reason = 'EXTERNAL'::text) OR (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'REJECTED'::text, 'CANCELLED'::text])))),
    CONSTRAINT exit_intents_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'REJECTED'::text, 'SUBMITTING'::text, 'UNKNOWN'::text, 'PLACED'::text, 'PARTIALLY_FILLED'::text, 'FILLED'::text, 'CANCELLED'::text, 'FAILED'::text])))
)
WITH (toast_tuple_target='8160');

COMMENT ON TABLE exit_qualification.exit_intents IS 'Operations'' side of an exit: from the gates to the broker''s last word';

COMMENT ON COLUMN exit_qualification.exit_intents.executable IS 'false: written in dark mode or outside the rollout''s list; never sent, holds no live slot';

COMMENT ON COLUMN exit_qualification.exit_intents.gates IS 'every gate''s verdict with its input';

COMMENT ON COLUMN exit_qualification.exit_intents.client_order_id IS 'the tag of its order at the broker';

COMMENT ON COLUMN exit_qualification.exit_intents.attempts IS 'times it was handed to the broker; above one a resend looked its tag up first';

COMMENT ON COLUMN exit_qualification.exit_intents.late_filled IS 'fills arrived after it had ended';

COMMENT ON COLUMN exit_qualification.exit_intents.claimed_until IS 'until then a sender may be at work on it';

COMMENT ON COLUMN exit_qualification.exit_intents.absent_since IS 'first complete read of the broker''s books that did not show its tag';

COMMENT ON COLUMN exit_qualification.exit_intents.version IS 'raised by every change; a writer names the one it read';

COMMENT ON COLUMN exit_qualification.exit_intents.exit_level IS 'the level that the price reached; null where no price alone decides';

COMMENT ON COLUMN exit_qualification.exit_intents.leg IS 'leg of a target ladder; null for the whole remainder';

COMMENT ON COLUMN exit_qualification.exit_intents.beside_leg IS 'its quantity leaves out that of a leg that was live; filled, it leaves room for another exit';

CREATE TABLE exit_qualification.exit_plans (
    trade_id uuid NOT NULL,
    plan_version integer NOT NULL,
    exit_plan jsonb NOT NULL,
    changed_tick bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT exit_plans_plan_version_check CHECK ((plan_version > 1))
);

COMMENT ON TABLE exit_qualification.exit_plans IS 'Plan in force of each trade whose plan was changed, in the place of open_trades.exit_plan; apart from open_trades, whose rows others lock';

COMMENT ON COLUMN exit_qualification.exit_plans.plan_version IS 'raised by every change; a trade is opened with version 1';

COMMENT ON COLUMN exit_qualification.exit_plans.changed_tick IS 'number of ticks of the symbol when the changed plan was first judged';

CREATE TABLE exit_qualification.exit_signals (
    signal_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    symbol text NOT NULL,
    direction text NOT NULL,
    exit_reason text NOT NULL,
    episode_id bigint NOT NULL,
    detected_price numeric(18,4),
    detected_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    leg smallint,
    CONSTRAINT exit_signals_direction_check CHECK ((direction = ANY (ARRAY['LONG'::text, 'SHORT'::text]))),
    CONSTRAINT exit_signals_leg_check CHECK ((leg > 0))
);

COMMENT ON TABLE exit_qualification.exit_signals IS 'Market logic said that a trade should exit';

COMMENT ON COLUMN exit_qualification.exit_signals.detected_price IS 'the price that met the condition; null for a manual exit';

COMMENT ON COLUMN exit_qualification.exit_signals.xid IS 'the transaction that wrote it; tells whether its event is published';

COMMENT ON COLUMN exit_qualification.exit_signals.leg IS 'leg of a target ladder; null for the whole remainder';

CREATE TABLE exit_qualification.outbox_discarded (
    event_id uuid NOT NULL,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    sequence bigint NOT NULL,
    event_type text,
    subject text,
    reason text NOT NULL,
    discarded_by text NOT NULL,
    discarded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.outbox_discarded IS 'Events in whose place a Discarded event was published, as an operator decided';

CREATE TABLE exit_qualification.outbox_parked (
    event_id uuid NOT NULL,
    shard smallint NOT NULL,
    id bigint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    sequence bigint NOT NULL,
    ce_type text CONSTRAINT outbox_parked_headers_not_null NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    request text,
    requested_by text,
    requested_at timestamp with time zone,
    request_reason text,
    ce_source text NOT NULL,
    ce_subject text NOT NULL,
    ce_time text NOT NULL,
    traceparent text NOT NULL,
    signature text,
    discard_signature text,
    CONSTRAINT outbox_parked_request_check CHECK ((request = ANY (ARRAY['REPLAY'::text, 'DISCARD'::text])))
);

COMMENT ON TABLE exit_qualification.outbox_parked IS 'Events that Kafka refused, and the later ones of their keys, until an operator decides';

COMMENT ON COLUMN exit_qualification.outbox_parked.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

COMMENT ON COLUMN exit_qualification.outbox_parked.reason IS 'what Kafka said, or after which event of its key this one has to wait';

COMMENT ON COLUMN exit_qualification.outbox_parked.request IS 'what an operator decided: publish it, or a Discarded event in its place';

COMMENT ON COLUMN exit_qualification.outbox_parked.discard_signature IS 'of the Discarded event that an operator asked for';

CREATE TABLE exit_qualification.outbox_shard (
    shard smallint NOT NULL,
    owner uuid,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    snap pg_snapshot DEFAULT pg_current_snapshot() NOT NULL,
    next_snap pg_snapshot,
    pos bigint DEFAULT 0 NOT NULL,
    CONSTRAINT outbox_shard_shard_check CHECK (((shard >= 0) AND (shard <= 63)))
)
WITH (fillfactor='10');

COMMENT ON TABLE exit_qualification.outbox_shard IS 'Leases and progress of the relay, a row a shard';

COMMENT ON COLUMN exit_qualification.outbox_shard.epoch IS 'raised by each new owner; a relay with an older one changes nothing';

COMMENT ON COLUMN exit_qualification.outbox_shard.snap IS 'all that this snapshot sees is published';

COMMENT ON COLUMN exit_qualification.outbox_shard.next_snap IS 'the frozen end of the window at work, null between windows';

COMMENT ON COLUMN exit_qualification.outbox_shard.pos IS 'the last id of the window that is acknowledged with all before it';

CREATE VIEW exit_qualification.exit_signal_status AS
 SELECT s.signal_id,
    s.trade_id,
    s.symbol,
    s.direction,
    s.exit_reason,
    s.episode_id,
    s.detected_price,
    s.detected_at,
    s.created_at,
    s.xid,
        CASE
            WHEN (pg_visible_in_snapshot(s.xid, o.snap) AND (NOT (EXISTS ( SELECT
               FROM exit_qualification.outbox_parked p
              WHERE ((p.key = (s.trade_id)::text) AND (p.ce_subject = (s.signal_id)::text))))) AND (NOT (EXISTS ( SELECT
               FROM exit_qualification.outbox_discarded d
              WHERE ((d.key = (s.trade_id)::text) AND (d.subject = (s.signal_id)::text)))))) THEN 'PUBLISHED'::text
            ELSE 'DETECTED'::text
        END AS status
   FROM (exit_qualification.exit_signals s
     JOIN exit_qualification.outbox_shard o ON ((o.shard = (hashtextextended((s.trade_id)::text, (0)::bigint) & (63)::bigint))));

COMMENT ON VIEW exit_qualification.exit_signal_status IS 'Signals with their status: PUBLISHED once the relay''s committed snapshot of their shard shows their transaction and their event is not parked';

CREATE TABLE exit_qualification.idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    response_status smallint,
    response_body jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK ((length(key) <= 255))
);

COMMENT ON TABLE exit_qualification.idempotency_keys IS 'The answer given to each Idempotency-Key, kept with what it caused';

CREATE TABLE exit_qualification.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.inbox IS 'Events that each consumer has acted upon';

CREATE TABLE exit_qualification.instrument_loads (
    source text NOT NULL,
    requested_at timestamp with time zone,
    tried_at timestamp with time zone,
    loaded_at timestamp with time zone,
    instruments integer DEFAULT 0 NOT NULL,
    skipped integer DEFAULT 0 NOT NULL,
    error text
);

COMMENT ON TABLE exit_qualification.instrument_loads IS 'For each broker, and for files, the last load of its instruments';

COMMENT ON COLUMN exit_qualification.instrument_loads.skipped IS 'rows of the last load that are no instruments of ours';

CREATE TABLE exit_qualification.instruments (
    symbol text NOT NULL,
    instrument_type text,
    tick_size numeric(18,4),
    lot_size bigint,
    freeze_quantity bigint,
    expiry date,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT instruments_freeze_quantity_check CHECK ((freeze_quantity > 0)),
    CONSTRAINT instruments_lot_size_check CHECK ((lot_size > 0)),
    CONSTRAINT instruments_tick_size_check CHECK ((tick_size > (0)::numeric))
);

COMMENT ON TABLE exit_qualification.instruments IS 'Instruments as brokers list them; null where the files say nothing';

COMMENT ON COLUMN exit_qualification.instruments.freeze_quantity IS 'largest quantity of one order; not in the files of brokers, loaded from a file of the exchange';

CREATE TABLE exit_qualification.kill_switch (
    only_row boolean DEFAULT true NOT NULL,
    mode text NOT NULL,
    reason text NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT kill_switch_mode_check CHECK ((mode = ANY (ARRAY['OFF'::text, 'ENTRIES_ONLY'::text, 'ALL'::text]))),
    CONSTRAINT kill_switch_only_row_check CHECK (only_row)
);

COMMENT ON TABLE exit_qualification.kill_switch IS 'One row: what an operator has stopped; read by every gate run';

CREATE TABLE exit_qualification.log_identity (
    topic text NOT NULL,
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    partitions integer,
    CONSTRAINT log_identity_partitions_check CHECK ((partitions > 0))
);

COMMENT ON TABLE exit_qualification.log_identity IS 'Which Kafka log the stored offsets belong to';

CREATE VIEW exit_qualification.market_now AS
 SELECT DISTINCT ON (c.exchange) c.exchange,
    exit_qualification.market_phase(c.*, now.local) AS phase,
    c.tick_fresh_ms
   FROM (exit_qualification.market_calendars c
     CROSS JOIN ( SELECT (clock_timestamp() AT TIME ZONE 'Asia/Kolkata'::text) AS local) now)
  WHERE ((c.valid_from <= (now.local)::date) AND COALESCE((c.valid_to >= (now.local)::date), true))
  ORDER BY c.exchange, c.valid_from DESC;

COMMENT ON VIEW exit_qualification.market_now IS 'Phase of every exchange that has a calendar today';

CREATE TABLE exit_qualification.market_quotes (
    symbol text NOT NULL,
    last_price numeric(18,4) NOT NULL,
    lower_limit numeric(18,4),
    upper_limit numeric(18,4),
    buy_quantity bigint,
    sell_quantity bigint,
    quoted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    wanted_at timestamp with time zone,
    wanted_of text,
    CONSTRAINT market_quotes_last_price_check CHECK ((last_price > (0)::numeric)),
    CONSTRAINT market_quotes_lower_limit_check CHECK ((lower_limit > (0)::numeric)),
    CONSTRAINT market_quotes_upper_limit_check CHECK ((upper_limit > (0)::numeric))
);

COMMENT ON TABLE exit_qualification.market_quotes IS 'Last quote of a broker for each symbol that needed one';

COMMENT ON COLUMN exit_qualification.market_quotes.lower_limit IS 'lower circuit limit of the day of the quote; null if the broker names none';

COMMENT ON COLUMN exit_qualification.market_quotes.buy_quantity IS 'quantity of waiting buy orders; null if the broker names none';

COMMENT ON COLUMN exit_qualification.market_quotes.wanted_at IS 'when a tick beyond the limits last asked for a new quote; null if none ever did';

COMMENT ON COLUMN exit_qualification.market_quotes.wanted_of IS 'not used any more: any account is asked';

CREATE TABLE exit_qualification.tick_symbols (
    symbol text NOT NULL,
    partition integer NOT NULL,
    last_price numeric(18,4) NOT NULL,
    last_ts timestamp with time zone NOT NULL,
    last_seq bigint NOT NULL,
    last_arrived_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ticks bigint DEFAULT 0 NOT NULL,
    stairs jsonb DEFAULT '{}'::jsonb NOT NULL,
    late jsonb,
    tick_offset bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE exit_qualification.tick_symbols IS 'The engine''s state of each symbol, at its offset';

COMMENT ON COLUMN exit_qualification.tick_symbols.last_arrived_at IS 'when the last tick came to Kafka; last_ts is the market''s own time, of another day in a replay';

COMMENT ON COLUMN exit_qualification.tick_symbols.ticks IS 'how many ticks the symbol had';

COMMENT ON COLUMN exit_qualification.tick_symbols.stairs IS 'by direction, the ticks that say the watermarks of trailing stops: [number of the tick, price times the direction''s sign in 1/10,000 rupee], falling';

COMMENT ON COLUMN exit_qualification.tick_symbols.late IS 'stale ticks since the last one: [arrival of the first, arrival of the first whose seq rose, highest seq, whether it was told], in milliseconds since 1970; null without any';

COMMENT ON COLUMN exit_qualification.tick_symbols.tick_offset IS 'next offset of its partition''s ticks that the state lacks: where it is above the partition''s own, the ticks between are part of the state';

CREATE VIEW exit_qualification.market_prices AS
 SELECT s.symbol,
    GREATEST(NULLIF(s.last_arrived_at, '1970-01-01 00:00:00+00'::timestamp with time zone), q.quoted_at) AS priced_at,
        CASE
            WHEN (q.quoted_at > s.last_arrived_at) THEN q.last_price
            ELSE s.last_price
        END AS last_price,
        CASE
            WHEN day.is_same THEN q.lower_limit
            ELSE NULL::numeric
        END AS lower_limit,
        CASE
            WHEN day.is_same THEN q.upper_limit
            ELSE NULL::numeric
        END AS upper_limit,
        CASE
            WHEN (q.quoted_at > (clock_timestamp() - '00:00:05'::interval)) THEN q.buy_quantity
            ELSE NULL::bigint
        END AS buy_quantity,
        CASE
            WHEN (q.quoted_at > (clock_timestamp() - '00:00:05'::interval)) THEN q.sell_quantity
            ELSE NULL::bigint
        END AS sell_quantity
   FROM ((exit_qualification.tick_symbols s
     LEFT JOIN exit_qualification.market_quotes q ON ((q.symbol = s.symbol)))
     CROSS JOIN LATERAL ( SELECT (((q.quoted_at AT TIME ZONE 'Asia/Kolkata'::text))::date = ((clock_timestamp() AT TIME ZONE 'Asia/Kolkata'::text))::date) AS is_same) day);

COMMENT ON VIEW exit_qualification.market_prices IS 'Newest price of each symbol, by tick or quote; limits of today, waiting orders of the last seconds';

CREATE TABLE exit_qualification.open_trades (
    trade_id uuid NOT NULL,
    symbol text NOT NULL,
    partition integer NOT NULL,
    user_broker_id text NOT NULL,
    direction text NOT NULL,
    product_type text NOT NULL,
    quantity bigint NOT NULL,
    entry_price numeric(18,4) NOT NULL,
    exit_plan jsonb NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    status text DEFAULT 'OPEN'::text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    entered_tick bigint,
    CONSTRAINT open_trades_direction_check CHECK ((direction = ANY (ARRAY['LONG'::text, 'SHORT'::text]))),
    CONSTRAINT open_trades_entry_price_check CHECK ((entry_price > (0)::numeric)),
    CONSTRAINT open_trades_product_type_check CHECK ((product_type = ANY (ARRAY['MIS'::text, 'CNC'::text, 'NRML'::text]))),
    CONSTRAINT open_trades_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT open_trades_status_check CHECK ((status = ANY (ARRAY['OPEN'::text, 'CLOSED'::text])))
);

COMMENT ON TABLE exit_qualification.open_trades IS 'Projection of trades.v1, the state store of the tick worker; its rows are the lock under which exits of a trade are decided';

COMMENT ON COLUMN exit_qualification.open_trades.partition IS 'partition of trades.v1 and market.ticks.v1 that the symbol is on';

COMMENT ON COLUMN exit_qualification.open_trades.entered_tick IS 'how many ticks the symbol had when the trade was first judged';

CREATE TABLE exit_qualification.order_budgets (
    broker text NOT NULL,
    account text NOT NULL,
    taken_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    trading_day date NOT NULL,
    taken_today integer DEFAULT 0 NOT NULL,
    free_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT order_budgets_taken_today_check CHECK ((taken_today >= 0))
);

COMMENT ON TABLE exit_qualification.order_budgets IS 'Orders that each broker account may still be sent, over all processes';

COMMENT ON COLUMN exit_qualification.order_budgets.taken_at IS 'when each order of the last minute was allowed, oldest first';

COMMENT ON COLUMN exit_qualification.order_budgets.trading_day IS 'Asia/Kolkata; taken_today counts its orders';

COMMENT ON COLUMN exit_qualification.order_budgets.free_at IS 'no order may be sent to the account before this instant';

CREATE TABLE exit_qualification.outbox_archive (
    xid xid8 CONSTRAINT outbox_event_xid_not_null NOT NULL,
    id bigint CONSTRAINT outbox_event_id_not_null NOT NULL,
    event_id uuid CONSTRAINT outbox_event_event_id_not_null NOT NULL,
    shard smallint CONSTRAINT outbox_event_shard_not_null NOT NULL,
    topic text CONSTRAINT outbox_event_topic_not_null NOT NULL,
    key text CONSTRAINT outbox_event_key_not_null NOT NULL,
    sequence bigint CONSTRAINT outbox_event_sequence_not_null NOT NULL,
    ce_type text CONSTRAINT outbox_event_headers_not_null NOT NULL,
    payload bytea CONSTRAINT outbox_event_payload_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT outbox_event_created_at_not_null NOT NULL,
    ce_source text NOT NULL,
    ce_subject text NOT NULL,
    ce_time text NOT NULL,
    traceparent text NOT NULL,
    signature text
)
PARTITION BY RANGE (created_at);

COMMENT ON TABLE exit_qualification.outbox_archive IS 'Closed partitions of outbox_event: days that are over and published, until retention drops them';

COMMENT ON COLUMN exit_qualification.outbox_archive.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

CREATE TABLE exit_qualification.outbox_event (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    id bigint NOT NULL,
    event_id uuid NOT NULL,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    sequence bigint NOT NULL,
    ce_type text CONSTRAINT outbox_event_headers_not_null NOT NULL,
    payload bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ce_source text NOT NULL,
    ce_subject text NOT NULL,
    ce_time text NOT NULL,
    traceparent text NOT NULL,
    signature text,
    CONSTRAINT outbox_event_payload_check CHECK ((octet_length(payload) <= 900000)),
    CONSTRAINT outbox_event_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT outbox_event_shard_check CHECK (((shard >= 0) AND (shard <= 63)))
)
PARTITION BY RANGE (created_at);

COMMENT ON TABLE exit_qualification.outbox_event IS 'Events of committed transactions, append-only; the relay publishes them in order per key';

COMMENT ON COLUMN exit_qualification.outbox_event.xid IS 'the writing transaction; windows of snapshots select by it';

COMMENT ON COLUMN exit_qualification.outbox_event.id IS 'inside one window the order to publish in';

COMMENT ON COLUMN exit_qualification.outbox_event.shard IS 'hashtextextended(key, 0) & 63';

COMMENT ON COLUMN exit_qualification.outbox_event.sequence IS 'ce_sequence: per topic and key, from 1, without gaps';

COMMENT ON COLUMN exit_qualification.outbox_event.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

COMMENT ON COLUMN exit_qualification.outbox_event.signature IS 'the header ce_signature; null: written before events were signed';

CREATE TABLE exit_qualification.outbox_event_default (
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT outbox_event_xid_not_null NOT NULL,
    id bigint CONSTRAINT outbox_event_id_not_null NOT NULL,
    event_id uuid CONSTRAINT outbox_event_event_id_not_null NOT NULL,
    shard smallint CONSTRAINT outbox_event_shard_not_null NOT NULL,
    topic text CONSTRAINT outbox_event_topic_not_null NOT NULL,
    key text CONSTRAINT outbox_event_key_not_null NOT NULL,
    sequence bigint CONSTRAINT outbox_event_sequence_not_null NOT NULL,
    ce_type text CONSTRAINT outbox_event_headers_not_null NOT NULL,
    payload bytea CONSTRAINT outbox_event_payload_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT outbox_event_created_at_not_null NOT NULL,
    ce_source text CONSTRAINT outbox_event_ce_source_not_null NOT NULL,
    ce_subject text CONSTRAINT outbox_event_ce_subject_not_null NOT NULL,
    ce_time text CONSTRAINT outbox_event_ce_time_not_null NOT NULL,
    traceparent text CONSTRAINT outbox_event_traceparent_not_null NOT NULL,
    signature text,
    CONSTRAINT outbox_event_payload_check CHECK ((octet_length(payload) <= 900000)),
    CONSTRAINT outbox_event_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT outbox_event_shard_check CHECK (((shard >= 0) AND (shard <= 63)))
);

ALTER TABLE exit_qualification.outbox_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME exit_qualification.outbox_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW exit_qualification.outbox_history AS
 SELECT outbox_event.xid,
    outbox_event.id,
    outbox_event.event_id,
    outbox_event.shard,
    outbox_event.topic,
    outbox_event.key,
    outbox_event.sequence,
    outbox_event.ce_type,
    outbox_event.ce_source,
    outbox_event.ce_subject,
    outbox_event.ce_time,
    outbox_event.traceparent,
    outbox_event.signature,
    outbox_event.payload,
    outbox_event.created_at
   FROM exit_qualification.outbox_event
UNION ALL
 SELECT outbox_archive.xid,
    outbox_archive.id,
    outbox_archive.event_id,
    outbox_archive.shard,
    outbox_archive.topic,
    outbox_archive.key,
    outbox_archive.sequence,
    outbox_archive.ce_type,
    outbox_archive.ce_source,
    outbox_archive.ce_subject,
    outbox_archive.ce_time,
    outbox_archive.traceparent,
    outbox_archive.signature,
    outbox_archive.payload,
    outbox_archive.created_at
   FROM exit_qualification.outbox_archive;

COMMENT ON VIEW exit_qualification.outbox_history IS 'Every event that is kept, live or closed';

CREATE TABLE exit_qualification.outbox_origin (
    only_row boolean DEFAULT true NOT NULL,
    system_identifier bigint NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    held_because text,
    log_accepted_until timestamp with time zone,
    CONSTRAINT outbox_origin_only_row_check CHECK (only_row)
);

COMMENT ON TABLE exit_qualification.outbox_origin IS 'The server whose transaction numbers the outbox speaks of';

COMMENT ON COLUMN exit_qualification.outbox_origin.held_because IS 'Why nothing is published, consumed or sent: the relay found events in Kafka that this database does not know';

COMMENT ON COLUMN exit_qualification.outbox_origin.log_accepted_until IS 'Records that Kafka took until then are not compared with this database: an operator decided so';

CREATE VIEW exit_qualification.outbox_partition AS
 SELECT name,
    state,
    from_at,
    until_at,
    events,
    bytes,
    largest_xid,
    held_by
   FROM exit_qualification.outbox_partitions() outbox_partitions(name, state, from_at, until_at, events, bytes, largest_xid, held_by);

COMMENT ON VIEW exit_qualification.outbox_partition IS 'What is kept: live, closed or default, its range, an estimate of its events, the shards that still need it';

CREATE VIEW exit_qualification.outbox_partition_range AS
 SELECT oid,
    (relname)::text AS name,
    live,
        CASE
            WHEN (bound = 'DEFAULT'::text) THEN 'default'::text
            WHEN live THEN 'live'::text
            ELSE 'closed'::text
        END AS state,
    ("substring"(bound, 'FROM \(''([^'']+)''\)'::text))::timestamp with time zone AS from_at,
    ("substring"(bound, 'TO \(''([^'']+)''\)'::text))::timestamp with time zone AS until_at
   FROM ( SELECT c.oid,
            c.relname,
            (i.inhparent = ('exit_qualification.outbox_event'::regclass)::oid) AS live,
            pg_get_expr(c.relpartbound, c.oid) AS bound
           FROM (pg_inherits i
             JOIN pg_class c ON ((c.oid = i.inhrelid)))
          WHERE (i.inhparent = ANY (ARRAY[('exit_qualification.outbox_event'::regclass)::oid, ('exit_qualification.outbox_archive'::regclass)::oid]))) p;

COMMENT ON VIEW exit_qualification.outbox_partition_range IS 'The partitions there are and the time that each is for';

CREATE TABLE exit_qualification.outbox_relay (
    relay_id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.outbox_relay IS 'Relays at work, so that each takes its fair share of shards';

CREATE TABLE exit_qualification.outbox_sequence (
    topic text NOT NULL,
    key text NOT NULL,
    last bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE exit_qualification.outbox_sequence IS 'The last ce_sequence given to each topic and key';

CREATE TABLE exit_qualification.outbox_topic (
    topic text NOT NULL,
    topic_id text NOT NULL,
    partitions integer NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_topic_partitions_check CHECK ((partitions > 0))
);

COMMENT ON TABLE exit_qualification.outbox_topic IS 'Over how many partitions the relay spreads the keys of a topic; those added later stay unused, so no key moves';

CREATE TABLE exit_qualification.protective_stops (
    stop_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    user_broker_id text NOT NULL,
    symbol text NOT NULL,
    direction text NOT NULL,
    product_type text NOT NULL,
    status text NOT NULL,
    quantity bigint NOT NULL,
    trigger_price numeric(18,4) NOT NULL,
    client_order_id text NOT NULL,
    broker_order_id text,
    error_code text,
    error_message text,
    end_reason text,
    submitted_at timestamp with time zone,
    claimed_until timestamp with time zone,
    asked_at timestamp with time zone,
    absent_since timestamp with time zone,
    armed_at timestamp with time zone,
    ended_at timestamp with time zone,
    intent_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    followed_price numeric(18,4),
    followed_version integer,
    changes integer DEFAULT 0 NOT NULL,
    CONSTRAINT protective_stops_direction_check CHECK ((direction = ANY (ARRAY['LONG'::text, 'SHORT'::text]))),
    CONSTRAINT protective_stops_ended CHECK (((status = ANY (ARRAY['CANCELLED'::text, 'TRIGGERED'::text, 'FAILED'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT protective_stops_known CHECK (((status = ANY (ARRAY['WANTED'::text, 'PLACING'::text, 'CANCELLED'::text, 'FAILED'::text])) OR (broker_order_id IS NOT NULL))),
    CONSTRAINT protective_stops_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT protective_stops_sent CHECK (((status = ANY (ARRAY['WANTED'::text, 'CANCELLED'::text])) OR (submitted_at IS NOT NULL))),
    CONSTRAINT protective_stops_status_check CHECK ((status = ANY (ARRAY['WANTED'::text, 'PLACING'::text, 'ARMED'::text, 'REPLACING'::text, 'CANCELLING'::text, 'CANCELLED'::text, 'TRIGGERED'::text, 'FAILED'::text]))),
    CONSTRAINT protective_stops_trigger_price_check CHECK ((trigger_price > (0)::numeric))
);

COMMENT ON TABLE exit_qualification.protective_stops IS 'Stop orders that brokers hold for trades while this system may be dead; a row for each order';

COMMENT ON COLUMN exit_qualification.protective_stops.status IS 'ARMED once the book showed the order waiting for its trigger with these terms';

COMMENT ON COLUMN exit_qualification.protective_stops.quantity IS 'of the order as asked for last';

COMMENT ON COLUMN exit_qualification.protective_stops.trigger_price IS 'of the order as asked for last, in rupees';

COMMENT ON COLUMN exit_qualification.protective_stops.client_order_id IS 'tag of the order; the exit that has its fills has the same';

COMMENT ON COLUMN exit_qualification.protective_stops.end_reason IS 'why it ended or is to end';

COMMENT ON COLUMN exit_qualification.protective_stops.claimed_until IS 'until then its sender may still send it, or it must not be sent';

COMMENT ON COLUMN exit_qualification.protective_stops.asked_at IS 'when its change or cancellation was requested last';

COMMENT ON COLUMN exit_qualification.protective_stops.absent_since IS 'first complete read of the books without the order';

COMMENT ON COLUMN exit_qualification.protective_stops.intent_id IS 'exit that has the fills of the triggered order';

COMMENT ON COLUMN exit_qualification.protective_stops.followed_price IS 'trigger in rupees that follows the trailing stop';

COMMENT ON COLUMN exit_qualification.protective_stops.followed_version IS 'version of the plan that followed_price is of';

COMMENT ON COLUMN exit_qualification.protective_stops.changes IS 'how often other terms of the order were requested';

CREATE TABLE exit_qualification.queued_exits (
    queue_id bigint NOT NULL,
    partition integer NOT NULL,
    symbol text NOT NULL,
    trade_ids uuid[] NOT NULL,
    exits json NOT NULL,
    queued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT queued_exits_trade_ids_check CHECK ((cardinality(trade_ids) > 0))
);
ALTER TABLE ONLY exit_qualification.queued_exits ALTER COLUMN exits SET STORAGE EXTERNAL;

COMMENT ON TABLE exit_qualification.queued_exits IS 'Exits of a burst beyond what one transaction writes: chunks of one symbol, oldest first';

COMMENT ON COLUMN exit_qualification.queued_exits.partition IS 'its owner writes the exits; as of open_trades';

COMMENT ON COLUMN exit_qualification.queued_exits.trade_ids IS 'the trades of the chunk, each once';

COMMENT ON COLUMN exit_qualification.queued_exits.exits IS 'rows of waiting_trades: {trade_id, work, price, at_us, level}, prices in 1/10,000 rupee';

ALTER TABLE exit_qualification.queued_exits ALTER COLUMN queue_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME exit_qualification.queued_exits_queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE exit_qualification.rollout (
    only_row boolean DEFAULT true NOT NULL,
    mode text NOT NULL,
    symbols text[] DEFAULT '{}'::text[] NOT NULL,
    user_broker_ids text[] DEFAULT '{}'::text[] NOT NULL,
    reason text NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT rollout_mode_check CHECK ((mode = ANY (ARRAY['off'::text, 'dark'::text, 'limited'::text, 'full'::text]))),
    CONSTRAINT rollout_only_row_check CHECK (only_row)
);

COMMENT ON TABLE exit_qualification.rollout IS 'One row: how far the exit pipeline is switched on; a new installation starts off';

CREATE TABLE exit_qualification.rule_states (
    trade_id uuid NOT NULL,
    states jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.rule_states IS 'Where the exit rules of open trades stand that moved since entry; apart from open_trades, whose rows others lock';

COMMENT ON COLUMN exit_qualification.rule_states.states IS 'by exit reason, or reason/leg';

CREATE TABLE exit_qualification.tick_partitions (
    partition integer NOT NULL,
    tick_offset bigint DEFAULT 0 NOT NULL,
    trade_offset bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    owner text,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE exit_qualification.tick_partitions IS 'Next offsets to read of market.ticks.v1 and trades.v1, advanced in the transaction of the exits they caused';

COMMENT ON COLUMN exit_qualification.tick_partitions.epoch IS 'raised by each new owner; a worker with an older one is fenced';

CREATE TABLE exit_qualification.trade_adjustments (
    trade_id uuid NOT NULL,
    plan_version integer NOT NULL,
    symbol text NOT NULL,
    partition integer NOT NULL,
    quantity bigint NOT NULL,
    entry_price numeric(18,4) NOT NULL,
    applied boolean DEFAULT false NOT NULL,
    CONSTRAINT trade_adjustments_entry_price_check CHECK ((entry_price > (0)::numeric)),
    CONSTRAINT trade_adjustments_quantity_check CHECK ((quantity > 0))
);

COMMENT ON TABLE exit_qualification.trade_adjustments IS 'Last corporate action of a trade as TradeAdjusted tells of it';

COMMENT ON COLUMN exit_qualification.trade_adjustments.applied IS 'false while another transaction holds the row of open_trades';

CREATE TABLE exit_qualification.trade_holds (
    trade_id uuid NOT NULL,
    held_until timestamp with time zone NOT NULL,
    awaited_version integer
);

COMMENT ON TABLE exit_qualification.trade_holds IS 'Trades with terms being changed by a corporate action: until then, or until TradeAdjusted, no exit of them is sent';

COMMENT ON COLUMN exit_qualification.trade_holds.awaited_version IS 'Until TradeAdjusted has told this version of the trade the hold goes on, beyond its time too; null: until its time';

CREATE TABLE exit_qualification.user_brokers (
    user_broker_id text NOT NULL,
    broker text NOT NULL,
    account text NOT NULL,
    root_url text NOT NULL,
    status text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    token_refused_at timestamp with time zone,
    token_taken_at timestamp with time zone,
    entries_held_since timestamp with time zone,
    entries_held_reason text,
    CONSTRAINT user_brokers_entries_held CHECK (((entries_held_since IS NULL) = (entries_held_reason IS NULL))),
    CONSTRAINT user_brokers_status_check CHECK ((status = ANY (ARRAY['CONNECTED'::text, 'DISCONNECTED'::text]))),
    CONSTRAINT user_brokers_user_broker_id_check CHECK ((user_broker_id ~ '^[a-z0-9][a-z0-9_-]{0,31}$'::text))
);

COMMENT ON TABLE exit_qualification.user_brokers IS 'Accounts that exits are executed at; credentials are never kept here';

COMMENT ON COLUMN exit_qualification.user_brokers.account IS 'the account as the broker names it';

COMMENT ON COLUMN exit_qualification.user_brokers.root_url IS 'root of the broker''s HTTP API';

COMMENT ON COLUMN exit_qualification.user_brokers.token_refused_at IS 'since when the broker refuses the access token; null while it takes it';

COMMENT ON COLUMN exit_qualification.user_brokers.token_taken_at IS 'when the broker took a token again after a refusal';

COMMENT ON COLUMN exit_qualification.user_brokers.entries_held_since IS 'since when no trade may be opened and every open one is exited; null: not held';

CREATE TABLE exit_qualification.waiting_trades (
    trade_id uuid NOT NULL,
    work text NOT NULL,
    detected_price numeric(18,4),
    detected_at timestamp with time zone,
    why text NOT NULL,
    waits_since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    exit_level numeric(18,4),
    CONSTRAINT waiting_trades_detected CHECK (((work = ANY (ARRAY['CLOSE'::text, 'ADJUST'::text])) = (detected_at IS NULL))),
    CONSTRAINT waiting_trades_tries_check CHECK ((tries >= 0)),
    CONSTRAINT waiting_trades_work_check CHECK ((work ~ '^[A-Z_]+(/[0-9]+)?$'::text))
);

COMMENT ON TABLE exit_qualification.waiting_trades IS 'What the tick worker must do with trades that were locked when it wanted to';

COMMENT ON COLUMN exit_qualification.waiting_trades.work IS 'CLOSE: the trade is closed; otherwise the exit reason that its price met';

COMMENT ON COLUMN exit_qualification.waiting_trades.exit_level IS 'as of exit_intents';

ALTER TABLE ONLY exit_qualification.outbox_event ATTACH PARTITION exit_qualification.outbox_event_default DEFAULT;

ALTER TABLE ONLY exit_qualification.account_loss_limits
    ADD CONSTRAINT account_loss_limits_pkey PRIMARY KEY (user_broker_id);

ALTER TABLE ONLY exit_qualification.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY exit_qualification.api_tokens
    ADD CONSTRAINT api_tokens_name_key UNIQUE (name);

ALTER TABLE ONLY exit_qualification.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY exit_qualification.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (audit_id);

ALTER TABLE ONLY exit_qualification.consumer_gaps
    ADD CONSTRAINT consumer_gaps_consumer_topic_id_partition_kind_first_offset_key UNIQUE (consumer, topic_id, partition, kind, first_offset);

ALTER TABLE ONLY exit_qualification.consumer_gaps
    ADD CONSTRAINT consumer_gaps_pkey PRIMARY KEY (gap_id);

ALTER TABLE ONLY exit_qualification.exit_episodes
    ADD CONSTRAINT exit_episodes_pkey PRIMARY KEY (trade_id, exit_reason);

ALTER TABLE ONLY exit_qualification.exit_fills
    ADD CONSTRAINT exit_fills_identity UNIQUE (broker, account, trading_day, exchange, broker_order_id, broker_trade_id);

ALTER TABLE ONLY exit_qualification.exit_intent_transitions
    ADD CONSTRAINT exit_intent_transitions_pkey PRIMARY KEY (from_status, to_status);

ALTER TABLE ONLY exit_qualification.exit_intents
    ADD CONSTRAINT exit_intents_client_order_key UNIQUE (client_order_id);

ALTER TABLE ONLY exit_qualification.exit_intents
    ADD CONSTRAINT exit_intents_pkey PRIMARY KEY (intent_id);

ALTER TABLE ONLY exit_qualification.exit_plans
    ADD CONSTRAINT exit_plans_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY exit_qualification.exit_signals
    ADD CONSTRAINT exit_signals_episode_key UNIQUE (trade_id, exit_reason, episode_id);

ALTER TABLE ONLY exit_qualification.exit_signals
    ADD CONSTRAINT exit_signals_identity_key UNIQUE (signal_id, trade_id, exit_reason, episode_id);

ALTER TABLE ONLY exit_qualification.exit_signals
    ADD CONSTRAINT exit_signals_pkey PRIMARY KEY (signal_id);

ALTER TABLE ONLY exit_qualification.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key);

ALTER TABLE ONLY exit_qualification.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);

ALTER TABLE ONLY exit_qualification.instrument_loads
    ADD CONSTRAINT instrument_loads_pkey PRIMARY KEY (source);

ALTER TABLE ONLY exit_qualification.instruments
    ADD CONSTRAINT instruments_pkey PRIMARY KEY (symbol);

ALTER TABLE ONLY exit_qualification.kill_switch
    ADD CONSTRAINT kill_switch_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY exit_qualification.log_identity
    ADD CONSTRAINT log_identity_pkey PRIMARY KEY (topic);

ALTER TABLE ONLY exit_qualification.market_calendars
    ADD CONSTRAINT market_calendars_pkey PRIMARY KEY (exchange, valid_from);

ALTER TABLE ONLY exit_qualification.market_quotes
    ADD CONSTRAINT market_quotes_pkey PRIMARY KEY (symbol);

ALTER TABLE ONLY exit_qualification.open_trades
    ADD CONSTRAINT open_trades_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY exit_qualification.order_budgets
    ADD CONSTRAINT order_budgets_pkey PRIMARY KEY (broker, account);

ALTER TABLE ONLY exit_qualification.outbox_discarded
    ADD CONSTRAINT outbox_discarded_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY exit_qualification.outbox_origin
    ADD CONSTRAINT outbox_origin_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY exit_qualification.outbox_parked
    ADD CONSTRAINT outbox_parked_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY exit_qualification.outbox_relay
    ADD CONSTRAINT outbox_relay_pkey PRIMARY KEY (relay_id);

ALTER TABLE ONLY exit_qualification.outbox_sequence
    ADD CONSTRAINT outbox_sequence_pkey PRIMARY KEY (topic, key);

ALTER TABLE ONLY exit_qualification.outbox_shard
    ADD CONSTRAINT outbox_shard_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY exit_qualification.outbox_topic
    ADD CONSTRAINT outbox_topic_pkey PRIMARY KEY (topic);

ALTER TABLE ONLY exit_qualification.protective_stops
    ADD CONSTRAINT protective_stops_client_order_id_key UNIQUE (client_order_id);

ALTER TABLE ONLY exit_qualification.protective_stops
    ADD CONSTRAINT protective_stops_pkey PRIMARY KEY (stop_id);

ALTER TABLE ONLY exit_qualification.queued_exits
    ADD CONSTRAINT queued_exits_pkey PRIMARY KEY (queue_id);

ALTER TABLE ONLY exit_qualification.rollout
    ADD CONSTRAINT rollout_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY exit_qualification.rule_states
    ADD CONSTRAINT rule_states_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY exit_qualification.tick_partitions
    ADD CONSTRAINT tick_partitions_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY exit_qualification.tick_symbols
    ADD CONSTRAINT tick_symbols_pkey PRIMARY KEY (symbol);

ALTER TABLE ONLY exit_qualification.trade_adjustments
    ADD CONSTRAINT trade_adjustments_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY exit_qualification.trade_holds
    ADD CONSTRAINT trade_holds_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY exit_qualification.user_brokers
    ADD CONSTRAINT user_brokers_pkey PRIMARY KEY (user_broker_id);

ALTER TABLE ONLY exit_qualification.waiting_trades
    ADD CONSTRAINT waiting_trades_pkey PRIMARY KEY (trade_id, work);

CREATE INDEX consumer_gaps_open ON exit_qualification.consumer_gaps USING btree (consumer) WHERE (acknowledged_at IS NULL);

CREATE INDEX exit_fills_of_intent ON exit_qualification.exit_fills USING btree (intent_id);

CREATE INDEX exit_fills_of_trade ON exit_qualification.exit_fills USING btree (trade_id);

CREATE INDEX exit_intents_broker_order ON exit_qualification.exit_intents USING btree (broker_order_id) WHERE (broker_order_id IS NOT NULL);

CREATE INDEX exit_intents_dark ON exit_qualification.exit_intents USING btree ((
CASE
    WHEN ((NOT executable) AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN trade_id
    ELSE NULL::uuid
END)) WHERE (
CASE
    WHEN ((NOT executable) AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN trade_id
    ELSE NULL::uuid
END IS NOT NULL);

CREATE INDEX exit_intents_ended_sent ON exit_qualification.exit_intents USING btree (user_broker_id, ended_at) WHERE ((status = ANY (ARRAY['CANCELLED'::text, 'FAILED'::text])) AND (submitted_at IS NOT NULL));

CREATE INDEX exit_intents_filled_to_cancel ON exit_qualification.exit_intents USING btree (user_broker_id, ended_at) WHERE ((status = 'FILLED'::text) AND (cancel_requested_at IS NOT NULL));

CREATE UNIQUE INDEX exit_intents_idempotency ON exit_qualification.exit_intents USING btree (trade_id, user_broker_id, exit_reason, episode_id) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX exit_intents_one_live ON exit_qualification.exit_intents USING btree (trade_id, user_broker_id, COALESCE((leg)::integer, 0)) WHERE (executable AND (deleted_at IS NULL) AND (exit_reason <> 'EXTERNAL'::text) AND ((status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'SUBMITTING'::text, 'UNKNOWN'::text, 'PLACED'::text, 'PARTIALLY_FILLED'::text])) OR ((status = 'FILLED'::text) AND (NOT beside_leg))));

COMMENT ON INDEX exit_qualification.exit_intents_one_live IS 'one exit of the whole remainder and one of each leg, live or filled';

CREATE INDEX exit_intents_pending ON exit_qualification.exit_intents USING btree (status, created_at, intent_id) WHERE (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'SUBMITTING'::text, 'UNKNOWN'::text, 'PLACED'::text, 'PARTIALLY_FILLED'::text]));

CREATE INDEX exit_intents_pending_oldest ON exit_qualification.exit_intents USING btree (created_at, intent_id) WHERE ((status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'SUBMITTING'::text, 'UNKNOWN'::text, 'PLACED'::text, 'PARTIALLY_FILLED'::text])) AND (deleted_at IS NULL));

CREATE INDEX exit_intents_unsent_of_account ON exit_qualification.exit_intents USING btree ((
CASE
    WHEN (executable AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN user_broker_id
    ELSE NULL::text
END), exit_reason) WHERE (
CASE
    WHEN (executable AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN user_broker_id
    ELSE NULL::text
END IS NOT NULL);

CREATE INDEX exit_intents_unsent_until ON exit_qualification.exit_intents USING btree ((
CASE
    WHEN (executable AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN expires_at
    ELSE NULL::timestamp with time zone
END)) WHERE (
CASE
    WHEN (executable AND (deleted_at IS NULL) AND (status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text]))) THEN expires_at
    ELSE NULL::timestamp with time zone
END IS NOT NULL);

CREATE INDEX exit_plans_to_protect ON exit_qualification.exit_plans USING btree (trade_id) WHERE (exit_plan ? 'protective_stop'::text);

CREATE INDEX exit_signals_by_transaction ON exit_qualification.exit_signals USING btree (xid);

CREATE INDEX idempotency_keys_by_age ON exit_qualification.idempotency_keys USING btree (created_at);

CREATE INDEX inbox_by_age ON exit_qualification.inbox USING btree (at);

CREATE INDEX market_quotes_wanted ON exit_qualification.market_quotes USING btree (symbol) WHERE (wanted_at > quoted_at);

CREATE INDEX open_trades_of_account ON exit_qualification.open_trades USING btree (user_broker_id) WHERE (status = 'OPEN'::text);

CREATE INDEX open_trades_of_partition ON exit_qualification.open_trades USING btree (partition) WHERE (status = 'OPEN'::text);

CREATE INDEX open_trades_to_protect ON exit_qualification.open_trades USING btree (trade_id) WHERE ((status = 'OPEN'::text) AND (exit_plan ? 'protective_stop'::text));

CREATE INDEX outbox_discarded_key ON exit_qualification.outbox_discarded USING btree (key);

CREATE INDEX outbox_event_window ON ONLY exit_qualification.outbox_event USING btree (shard, xid);

CREATE INDEX outbox_event_default_shard_xid_idx ON exit_qualification.outbox_event_default USING btree (shard, xid);

CREATE INDEX outbox_parked_key ON exit_qualification.outbox_parked USING btree (topic, key, sequence);

CREATE INDEX outbox_parked_requested ON exit_qualification.outbox_parked USING btree (shard, topic, key, sequence) WHERE (request IS NOT NULL);

CREATE INDEX outbox_parked_shard ON exit_qualification.outbox_parked USING btree (shard, topic, key, sequence);

CREATE INDEX protective_stops_broker_order ON exit_qualification.protective_stops USING btree (broker_order_id) WHERE (broker_order_id IS NOT NULL);

CREATE INDEX protective_stops_ended ON exit_qualification.protective_stops USING btree (ended_at) WHERE ((ended_at IS NOT NULL) AND (submitted_at IS NOT NULL) AND (intent_id IS NULL));

CREATE INDEX protective_stops_of_trade ON exit_qualification.protective_stops USING btree (trade_id, created_at);

CREATE UNIQUE INDEX protective_stops_one ON exit_qualification.protective_stops USING btree (trade_id) WHERE (ended_at IS NULL);

COMMENT ON INDEX exit_qualification.protective_stops_one IS 'a trade has one protective stop at a time';

CREATE INDEX tick_symbols_of_partition ON exit_qualification.tick_symbols USING btree (partition);

CREATE INDEX trade_adjustments_to_apply ON exit_qualification.trade_adjustments USING btree (trade_id) WHERE (NOT applied);

ALTER INDEX exit_qualification.outbox_event_window ATTACH PARTITION exit_qualification.outbox_event_default_shard_xid_idx;

CREATE TRIGGER exit_intents_beside_protective_stop BEFORE UPDATE OF status ON exit_qualification.exit_intents FOR EACH ROW WHEN (((new.status = 'SUBMITTING'::text) AND (old.status <> 'SUBMITTING'::text))) EXECUTE FUNCTION exit_qualification.exit_intents_beside_protective_stop();

CREATE TRIGGER exit_intents_guard BEFORE UPDATE ON exit_qualification.exit_intents FOR EACH ROW EXECUTE FUNCTION exit_qualification.exit_intents_guard();

CREATE TRIGGER exit_intents_guard_insert BEFORE INSERT ON exit_qualification.exit_intents FOR EACH ROW WHEN (((new.status <> ALL (ARRAY['PENDING'::text, 'APPROVED'::text, 'REJECTED'::text])) AND (new.exit_reason <> 'EXTERNAL'::text))) EXECUTE FUNCTION exit_qualification.exit_intents_guard();

CREATE TRIGGER exit_intents_to_send_update AFTER UPDATE OF status ON exit_qualification.exit_intents FOR EACH ROW WHEN (((new.status = 'APPROVED'::text) AND new.executable AND (old.status = 'PENDING'::text))) EXECUTE FUNCTION exit_qualification.exit_intents_to_send();

CREATE TRIGGER exit_intents_within_trade_insert AFTER INSERT ON exit_qualification.exit_intents REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION exit_qualification.exit_intents_inserted();

CREATE TRIGGER exit_intents_within_trade_update AFTER UPDATE OF quantity ON exit_qualification.exit_intents FOR EACH ROW WHEN ((new.executable AND (new.exit_reason <> 'EXTERNAL'::text) AND (new.status = ANY (ARRAY['PENDING'::text, 'APPROVED'::text, 'SUBMITTING'::text, 'UNKNOWN'::text, 'PLACED'::text, 'PARTIALLY_FILLED'::text])) AND ((new.quantity - new.filled_quantity) > (old.quantity - old.filled_quantity)))) EXECUTE FUNCTION exit_qualification.exit_intents_wants_more();

CREATE TRIGGER protective_stops_step BEFORE UPDATE ON exit_qualification.protective_stops FOR EACH ROW EXECUTE FUNCTION exit_qualification.protective_stops_step();

ALTER TABLE ONLY exit_qualification.account_loss_limits
    ADD CONSTRAINT account_loss_limits_user_broker_id_fkey FOREIGN KEY (user_broker_id) REFERENCES exit_qualification.user_brokers(user_broker_id);

ALTER TABLE ONLY exit_qualification.exit_fills
    ADD CONSTRAINT exit_fills_intent_id_fkey FOREIGN KEY (intent_id) REFERENCES exit_qualification.exit_intents(intent_id);

ALTER TABLE ONLY exit_qualification.exit_intents
    ADD CONSTRAINT exit_intents_signal_fkey FOREIGN KEY (signal_id, trade_id, exit_reason, episode_id) REFERENCES exit_qualification.exit_signals(signal_id, trade_id, exit_reason, episode_id);

ALTER TABLE ONLY exit_qualification.protective_stops
    ADD CONSTRAINT protective_stops_intent_id_fkey FOREIGN KEY (intent_id) REFERENCES exit_qualification.exit_intents(intent_id);

ALTER TABLE ONLY exit_qualification.protective_stops
    ADD CONSTRAINT protective_stops_trade_id_fkey FOREIGN KEY (trade_id) REFERENCES exit_qualification.open_trades(trade_id);

ALTER TABLE ONLY exit_qualification.protective_stops
    ADD CONSTRAINT protective_stops_user_broker_id_fkey FOREIGN KEY (user_broker_id) REFERENCES exit_qualification.user_brokers(user_broker_id);

GRANT USAGE ON SCHEMA exit_qualification TO exitflow_exit;
GRANT USAGE ON SCHEMA exit_qualification TO exitflow_relay;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.market_calendars TO exitflow_exit;

REVOKE ALL ON FUNCTION exit_qualification.outbox_close_partition(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION exit_qualification.outbox_close_partition(name text) TO exitflow_relay;

REVOKE ALL ON FUNCTION exit_qualification.outbox_drop_partition(name text, retention_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION exit_qualification.outbox_drop_partition(name text, retention_days integer) TO exitflow_relay;

REVOKE ALL ON FUNCTION exit_qualification.outbox_empty_default(retention_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION exit_qualification.outbox_empty_default(retention_days integer) TO exitflow_relay;

REVOKE ALL ON FUNCTION exit_qualification.outbox_make_partition(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION exit_qualification.outbox_make_partition(day date) TO exitflow_relay;

REVOKE ALL ON FUNCTION exit_qualification.outbox_partition_held_by(name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION exit_qualification.outbox_partition_largest_xid(name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION exit_qualification.outbox_partitions() FROM PUBLIC;
GRANT ALL ON FUNCTION exit_qualification.outbox_partitions() TO exitflow_relay;
GRANT ALL ON FUNCTION exit_qualification.outbox_partitions() TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.account_loss_limits TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.alembic_version TO exitflow_exit;
GRANT SELECT ON TABLE exit_qualification.alembic_version TO exitflow_relay;

GRANT SELECT ON TABLE exit_qualification.api_tokens TO exitflow_exit;

GRANT SELECT,INSERT ON TABLE exit_qualification.audit_log TO exitflow_exit;

GRANT SELECT,INSERT ON TABLE exit_qualification.consumer_gaps TO exitflow_exit;

GRANT UPDATE(missed) ON TABLE exit_qualification.consumer_gaps TO exitflow_exit;

GRANT UPDATE(acknowledged_at) ON TABLE exit_qualification.consumer_gaps TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.exit_episodes TO exitflow_exit;

GRANT SELECT,INSERT ON TABLE exit_qualification.exit_fills TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.exit_intent_transitions TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.exit_intents TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.exit_plans TO exitflow_exit;

GRANT SELECT,INSERT ON TABLE exit_qualification.exit_signals TO exitflow_exit;

GRANT SELECT,INSERT ON TABLE exit_qualification.outbox_discarded TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_discarded TO exitflow_exit;

GRANT SELECT,INSERT,DELETE ON TABLE exit_qualification.outbox_parked TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_parked TO exitflow_exit;

GRANT UPDATE(reason) ON TABLE exit_qualification.outbox_parked TO exitflow_relay;

GRANT UPDATE(request) ON TABLE exit_qualification.outbox_parked TO exitflow_exit;
GRANT UPDATE(request) ON TABLE exit_qualification.outbox_parked TO exitflow_relay;

GRANT UPDATE(requested_by) ON TABLE exit_qualification.outbox_parked TO exitflow_exit;
GRANT UPDATE(requested_by) ON TABLE exit_qualification.outbox_parked TO exitflow_relay;

GRANT UPDATE(requested_at) ON TABLE exit_qualification.outbox_parked TO exitflow_exit;
GRANT UPDATE(requested_at) ON TABLE exit_qualification.outbox_parked TO exitflow_relay;

GRANT UPDATE(request_reason) ON TABLE exit_qualification.outbox_parked TO exitflow_exit;
GRANT UPDATE(request_reason) ON TABLE exit_qualification.outbox_parked TO exitflow_relay;

GRANT UPDATE(discard_signature) ON TABLE exit_qualification.outbox_parked TO exitflow_exit;

GRANT SELECT,UPDATE ON TABLE exit_qualification.outbox_shard TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_shard TO exitflow_exit;

GRANT UPDATE(paused) ON TABLE exit_qualification.outbox_shard TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.exit_signal_status TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.idempotency_keys TO exitflow_exit;

GRANT SELECT,INSERT,DELETE ON TABLE exit_qualification.inbox TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.instrument_loads TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.instruments TO exitflow_exit;

GRANT SELECT,UPDATE ON TABLE exit_qualification.kill_switch TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.log_identity TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.market_now TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.market_quotes TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.tick_symbols TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.market_prices TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.open_trades TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.order_budgets TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.outbox_archive TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_archive TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.outbox_event TO exitflow_relay;
GRANT SELECT,INSERT ON TABLE exit_qualification.outbox_event TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.outbox_history TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_history TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.outbox_origin TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_origin TO exitflow_exit;

GRANT UPDATE(held_because) ON TABLE exit_qualification.outbox_origin TO exitflow_relay;
GRANT UPDATE(held_because) ON TABLE exit_qualification.outbox_origin TO exitflow_exit;

GRANT UPDATE(log_accepted_until) ON TABLE exit_qualification.outbox_origin TO exitflow_exit;

GRANT SELECT ON TABLE exit_qualification.outbox_partition TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_partition TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.outbox_relay TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_relay TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.outbox_sequence TO exitflow_exit;
GRANT SELECT ON TABLE exit_qualification.outbox_sequence TO exitflow_relay;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.outbox_topic TO exitflow_relay;
GRANT SELECT ON TABLE exit_qualification.outbox_topic TO exitflow_exit;

GRANT UPDATE(partitions) ON TABLE exit_qualification.outbox_topic TO exitflow_exit;

GRANT UPDATE(updated_at) ON TABLE exit_qualification.outbox_topic TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.protective_stops TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.queued_exits TO exitflow_exit;

GRANT SELECT,UPDATE ON TABLE exit_qualification.rollout TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.rule_states TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.tick_partitions TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.trade_adjustments TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.trade_holds TO exitflow_exit;

GRANT SELECT,INSERT,UPDATE ON TABLE exit_qualification.user_brokers TO exitflow_exit;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE exit_qualification.waiting_trades TO exitflow_exit;
