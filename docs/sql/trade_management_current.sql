-- Schema trade_management at its newest revision; written by `make sql` from a migrated database, do not edit.
-- Partitions are left out: the relay makes and drops them.

CREATE FUNCTION trade_management.charge_lines_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
    AS $$
BEGIN
  UPDATE trade_closures
     SET lines = lines || jsonb_build_object(
                   NEW.leg, coalesce(lines -> NEW.leg, '{}') || jsonb_build_object(NEW.charge, CAST(NEW.amount AS text)))
   WHERE closure_id = NEW.closure_id;
  RETURN NEW;
END $$;

COMMENT ON FUNCTION trade_management.charge_lines_insert() IS 'Stores the lines of a trade-fills of the version before';

CREATE FUNCTION trade_management.outbox_close_partition(name text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_close_partition(name text) IS 'Archive a partition whose day is over and published: closed, unpublished, not over, not live, busy (try again)';

CREATE FUNCTION trade_management.outbox_drop_partition(name text, retention_days integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_drop_partition(name text, retention_days integer) IS 'Drop a closed partition that ended so many days ago: dropped, kept, busy; it locks nobody out of outbox_event';

CREATE FUNCTION trade_management.outbox_empty_default(retention_days integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_empty_default(retention_days integer) IS 'Truncate the default partition once all in it is published and so old: emptied, empty, unpublished, young, busy';

CREATE FUNCTION trade_management.outbox_make_partition(day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_make_partition(day date) IS 'Make the partition of a day (UTC): made, exists, busy, or in default, which already holds events of that day';

CREATE FUNCTION trade_management.outbox_partition_held_by(name text) RETURNS smallint[]
    LANGUAGE plpgsql
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_partition_held_by(name text) IS 'The shards that are not known to have published all of a partition';

CREATE FUNCTION trade_management.outbox_partition_largest_xid(name text) RETURNS xid8
    LANGUAGE plpgsql
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_partition_largest_xid(name text) IS 'The largest xid in a partition, by a look into its index a shard';

CREATE FUNCTION trade_management.outbox_partitions() RETURNS TABLE(name text, state text, from_at timestamp with time zone, until_at timestamp with time zone, events bigint, bytes bigint, largest_xid xid8, held_by smallint[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'trade_management', 'pg_temp'
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

COMMENT ON FUNCTION trade_management.outbox_partitions() IS 'What stands behind the view outbox_partition';

CREATE TABLE trade_management.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE trade_management.api_tokens (
    token_hash bytea NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone
);

COMMENT ON TABLE trade_management.api_tokens IS 'SHA-256 of each bearer token, and what it may do';

CREATE TABLE trade_management.audit_log (
    audit_id bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE trade_management.audit_log IS 'Every act of an operator; service roles may only add to it';

ALTER TABLE trade_management.audit_log ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME trade_management.audit_log_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE trade_management.trade_closures (
    closure_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    nth smallint NOT NULL,
    exit_intent_id uuid NOT NULL,
    exit_reason text NOT NULL,
    quantity bigint NOT NULL,
    exit_price numeric(18,4) NOT NULL,
    gross_pnl numeric(18,4) NOT NULL,
    charges numeric(18,4),
    net_pnl numeric(18,4),
    final boolean NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    target_leg smallint,
    lines jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT trade_closures_lines CHECK (((lines - ARRAY['ENTRY'::text, 'EXIT'::text]) = '{}'::jsonb)),
    CONSTRAINT trade_closures_net CHECK ((NOT (net_pnl IS DISTINCT FROM (gross_pnl - charges)))),
    CONSTRAINT trade_closures_nth_check CHECK ((nth > 0)),
    CONSTRAINT trade_closures_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT trade_closures_target_leg_check CHECK ((target_leg > 0))
);

COMMENT ON TABLE trade_management.trade_closures IS 'Each time fills closed a part, or the rest, of a trade';

COMMENT ON COLUMN trade_management.trade_closures.charges IS 'null: unknown, as no schedule has rates for one of its days';

COMMENT ON COLUMN trade_management.trade_closures.target_leg IS 'leg of a target ladder; null for an exit of the whole remainder';

COMMENT ON COLUMN trade_management.trade_closures.lines IS 'estimated charges by leg and charge, in rupees; see final_charges';

CREATE VIEW trade_management.charge_lines AS
 SELECT c.closure_id,
    leg.name AS leg,
    line.charge,
    (line.amount)::numeric(18,4) AS amount
   FROM ((trade_management.trade_closures c
     CROSS JOIN LATERAL jsonb_each(c.lines) leg(name, lines))
     CROSS JOIN LATERAL jsonb_each_text(leg.lines) line(charge, amount));

COMMENT ON VIEW trade_management.charge_lines IS 'What each closure was estimated to cost, line by line; see final_charges';

CREATE TABLE trade_management.charge_schedules (
    product_type text NOT NULL,
    charge text NOT NULL,
    side text NOT NULL,
    rate numeric(18,10) NOT NULL,
    flat numeric(18,4) DEFAULT 0 NOT NULL,
    maximum numeric(18,4),
    rounding text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    effective_from date NOT NULL,
    effective_to date,
    exchange text DEFAULT 'NSE'::text NOT NULL,
    segment text DEFAULT 'EQUITY'::text NOT NULL,
    source text DEFAULT 'zerodha.com/charges'::text NOT NULL,
    CONSTRAINT charge_schedules_charge_check CHECK ((charge = ANY (ARRAY['BROKERAGE'::text, 'STT'::text, 'EXCHANGE'::text, 'SEBI'::text, 'STAMP'::text, 'GST'::text, 'DEPOSITORY'::text]))),
    CONSTRAINT charge_schedules_check CHECK (((effective_to IS NULL) OR (effective_to > effective_from))),
    CONSTRAINT charge_schedules_flat_check CHECK ((flat >= (0)::numeric)),
    CONSTRAINT charge_schedules_product_type_check CHECK ((product_type = ANY (ARRAY['MIS'::text, 'CNC'::text, 'NRML'::text]))),
    CONSTRAINT charge_schedules_rate_check CHECK ((rate >= (0)::numeric)),
    CONSTRAINT charge_schedules_rounding_check CHECK ((rounding = ANY (ARRAY['PAISA'::text, 'RUPEE'::text]))),
    CONSTRAINT charge_schedules_segment CHECK ((segment = ANY (ARRAY['EQUITY'::text, 'FUTURES'::text, 'OPTIONS'::text]))),
    CONSTRAINT charge_schedules_side_check CHECK ((side = ANY (ARRAY['BUY'::text, 'SELL'::text, 'BOTH'::text])))
);

COMMENT ON TABLE trade_management.charge_schedules IS 'Rates by exchange, segment and product, effective-dated';

COMMENT ON COLUMN trade_management.charge_schedules.rate IS 'share of the order''s value; of brokerage + exchange + SEBI for GST';

COMMENT ON COLUMN trade_management.charge_schedules.maximum IS 'the most a line can be per order';

COMMENT ON COLUMN trade_management.charge_schedules.effective_to IS 'first day on which the row no longer holds';

COMMENT ON COLUMN trade_management.charge_schedules.source IS 'who published the rate';

CREATE TABLE trade_management.consumer_gaps (
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

COMMENT ON TABLE trade_management.consumer_gaps IS 'Records that a consumer did not or may not have read; its process is not ready until each gap is acknowledged';

COMMENT ON COLUMN trade_management.consumer_gaps.partition IS '-1: any partition of the topic';

COMMENT ON COLUMN trade_management.consumer_gaps.first_offset IS 'the first record that was missed';

COMMENT ON COLUMN trade_management.consumer_gaps.missed IS 'records known to be missed; more may be where a topic was replaced';

ALTER TABLE trade_management.consumer_gaps ALTER COLUMN gap_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME trade_management.consumer_gaps_gap_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE trade_management.corporate_actions (
    action_id uuid NOT NULL,
    kind text NOT NULL,
    symbol text NOT NULL,
    new_symbol text NOT NULL,
    shares_before integer NOT NULL,
    shares_after integer NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    effective_on date NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reversed_at timestamp with time zone,
    CONSTRAINT corporate_actions_kind_check CHECK ((kind = ANY (ARRAY['SPLIT'::text, 'BONUS'::text, 'RENAME'::text]))),
    CONSTRAINT corporate_actions_shares_after_check CHECK ((shares_after > 0)),
    CONSTRAINT corporate_actions_shares_before_check CHECK ((shares_before > 0))
);

COMMENT ON TABLE trade_management.corporate_actions IS 'Splits, bonus issues and renames that open trades were adjusted to';

COMMENT ON COLUMN trade_management.corporate_actions.effective_on IS 'trading day of effective_at; a symbol has one action of a kind on it';

CREATE TABLE trade_management.final_charges (
    trade_id uuid NOT NULL,
    leg text NOT NULL,
    nth smallint NOT NULL,
    lines jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT final_charges_leg_check CHECK ((leg = ANY (ARRAY['ENTRY'::text, 'EXIT'::text]))),
    CONSTRAINT final_charges_nth_check CHECK ((nth > 0))
);

COMMENT ON TABLE trade_management.final_charges IS 'What contract notes charge for a leg of a trade; the last row of a leg counts';

CREATE TABLE trade_management.idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    response_status smallint,
    response_body jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK ((length(key) <= 255))
);

COMMENT ON TABLE trade_management.idempotency_keys IS 'The answer given to each Idempotency-Key, kept with what it caused';

CREATE TABLE trade_management.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE trade_management.inbox IS 'Events that each consumer has acted upon';

CREATE TABLE trade_management.log_identity (
    topic text NOT NULL,
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    partitions integer,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT log_identity_partitions_check CHECK ((partitions > 0))
);

COMMENT ON TABLE trade_management.log_identity IS 'Which Kafka log the committed offsets belong to';

CREATE TABLE trade_management.outbox_archive (
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

COMMENT ON TABLE trade_management.outbox_archive IS 'Closed partitions of outbox_event: days that are over and published, until retention drops them';

COMMENT ON COLUMN trade_management.outbox_archive.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

CREATE TABLE trade_management.outbox_discarded (
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

COMMENT ON TABLE trade_management.outbox_discarded IS 'Events in whose place a Discarded event was published, as an operator decided';

CREATE TABLE trade_management.outbox_event (
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

COMMENT ON TABLE trade_management.outbox_event IS 'Events of committed transactions, append-only; the relay publishes them in order per key';

COMMENT ON COLUMN trade_management.outbox_event.xid IS 'the writing transaction; windows of snapshots select by it';

COMMENT ON COLUMN trade_management.outbox_event.id IS 'inside one window the order to publish in';

COMMENT ON COLUMN trade_management.outbox_event.shard IS 'hashtextextended(key, 0) & 63';

COMMENT ON COLUMN trade_management.outbox_event.sequence IS 'ce_sequence: per topic and key, from 1, without gaps';

COMMENT ON COLUMN trade_management.outbox_event.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

COMMENT ON COLUMN trade_management.outbox_event.signature IS 'the header ce_signature; null: written before events were signed';

CREATE TABLE trade_management.outbox_event_default (
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

ALTER TABLE trade_management.outbox_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME trade_management.outbox_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW trade_management.outbox_history AS
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
   FROM trade_management.outbox_event
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
   FROM trade_management.outbox_archive;

COMMENT ON VIEW trade_management.outbox_history IS 'Every event that is kept, live or closed';

CREATE TABLE trade_management.outbox_origin (
    only_row boolean DEFAULT true NOT NULL,
    system_identifier bigint NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    held_because text,
    log_accepted_until timestamp with time zone,
    CONSTRAINT outbox_origin_only_row_check CHECK (only_row)
);

COMMENT ON TABLE trade_management.outbox_origin IS 'The server whose transaction numbers the outbox speaks of';

COMMENT ON COLUMN trade_management.outbox_origin.held_because IS 'Why nothing is published, consumed or sent: the relay found events in Kafka that this database does not know';

COMMENT ON COLUMN trade_management.outbox_origin.log_accepted_until IS 'Records that Kafka took until then are not compared with this database: an operator decided so';

CREATE TABLE trade_management.outbox_parked (
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

COMMENT ON TABLE trade_management.outbox_parked IS 'Events that Kafka refused, and the later ones of their keys, until an operator decides';

COMMENT ON COLUMN trade_management.outbox_parked.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';

COMMENT ON COLUMN trade_management.outbox_parked.reason IS 'what Kafka said, or after which event of its key this one has to wait';

COMMENT ON COLUMN trade_management.outbox_parked.request IS 'what an operator decided: publish it, or a Discarded event in its place';

COMMENT ON COLUMN trade_management.outbox_parked.discard_signature IS 'of the Discarded event that an operator asked for';

CREATE VIEW trade_management.outbox_partition AS
 SELECT name,
    state,
    from_at,
    until_at,
    events,
    bytes,
    largest_xid,
    held_by
   FROM trade_management.outbox_partitions() outbox_partitions(name, state, from_at, until_at, events, bytes, largest_xid, held_by);

COMMENT ON VIEW trade_management.outbox_partition IS 'What is kept: live, closed or default, its range, an estimate of its events, the shards that still need it';

CREATE VIEW trade_management.outbox_partition_range AS
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
            (i.inhparent = ('trade_management.outbox_event'::regclass)::oid) AS live,
            pg_get_expr(c.relpartbound, c.oid) AS bound
           FROM (pg_inherits i
             JOIN pg_class c ON ((c.oid = i.inhrelid)))
          WHERE (i.inhparent = ANY (ARRAY[('trade_management.outbox_event'::regclass)::oid, ('trade_management.outbox_archive'::regclass)::oid]))) p;

COMMENT ON VIEW trade_management.outbox_partition_range IS 'The partitions there are and the time that each is for';

CREATE TABLE trade_management.outbox_relay (
    relay_id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE trade_management.outbox_relay IS 'Relays at work, so that each takes its fair share of shards';

CREATE TABLE trade_management.outbox_sequence (
    topic text NOT NULL,
    key text NOT NULL,
    last bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE trade_management.outbox_sequence IS 'The last ce_sequence given to each topic and key';

CREATE TABLE trade_management.outbox_shard (
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

COMMENT ON TABLE trade_management.outbox_shard IS 'Leases and progress of the relay, a row a shard';

COMMENT ON COLUMN trade_management.outbox_shard.epoch IS 'raised by each new owner; a relay with an older one changes nothing';

COMMENT ON COLUMN trade_management.outbox_shard.snap IS 'all that this snapshot sees is published';

COMMENT ON COLUMN trade_management.outbox_shard.next_snap IS 'the frozen end of the window at work, null between windows';

COMMENT ON COLUMN trade_management.outbox_shard.pos IS 'the last id of the window that is acknowledged with all before it';

CREATE TABLE trade_management.outbox_topic (
    topic text NOT NULL,
    topic_id text NOT NULL,
    partitions integer NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_topic_partitions_check CHECK ((partitions > 0))
);

COMMENT ON TABLE trade_management.outbox_topic IS 'Over how many partitions the relay spreads the keys of a topic; those added later stay unused, so no key moves';

CREATE TABLE trade_management.trade_adjustments (
    action_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL
);

COMMENT ON TABLE trade_management.trade_adjustments IS 'What an action changed of a trade; a reversal restores it';

CREATE TABLE trade_management.trade_fills (
    trade_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    broker_order_id text NOT NULL,
    broker_trade_id text NOT NULL,
    exit_reason text NOT NULL,
    quantity bigint NOT NULL,
    price numeric(18,4) NOT NULL,
    filled_at timestamp with time zone NOT NULL,
    late boolean DEFAULT false NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    target_leg smallint,
    CONSTRAINT trade_fills_price_check CHECK ((price > (0)::numeric)),
    CONSTRAINT trade_fills_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT trade_fills_target_leg_check CHECK ((target_leg > 0))
);

COMMENT ON TABLE trade_management.trade_fills IS 'Exit fills as exits.intents.v1 told them, each stored once';

COMMENT ON COLUMN trade_management.trade_fills.late IS 'came after the trade was closed: recorded and flagged, part of no closure';

COMMENT ON COLUMN trade_management.trade_fills.target_leg IS 'leg of a target ladder; null for an exit of the whole remainder';

CREATE TABLE trade_management.trades (
    trade_id uuid NOT NULL,
    symbol text NOT NULL,
    direction text NOT NULL,
    product_type text NOT NULL,
    user_broker_id text NOT NULL,
    quantity bigint NOT NULL,
    open_quantity bigint NOT NULL,
    entry_price numeric(18,4) NOT NULL,
    exit_plan jsonb NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    status text DEFAULT 'OPEN'::text NOT NULL,
    exit_price numeric(18,4),
    exit_reason text,
    gross_pnl numeric(18,4),
    charges numeric(18,4),
    net_pnl numeric(18,4),
    closed_at timestamp with time zone,
    exit_intent_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    plan_version integer DEFAULT 1 NOT NULL,
    charges_final boolean DEFAULT false NOT NULL,
    CONSTRAINT trades_check CHECK (((open_quantity >= 0) AND (open_quantity <= quantity))),
    CONSTRAINT trades_closed_by_intent CHECK ((((status = 'CLOSED'::text) = (exit_intent_id IS NOT NULL)) AND ((status = 'CLOSED'::text) = (open_quantity = 0)) AND ((status = 'OPEN'::text) OR ((exit_price IS NOT NULL) AND (exit_reason IS NOT NULL) AND (gross_pnl IS NOT NULL) AND (NOT (net_pnl IS DISTINCT FROM (gross_pnl - charges))) AND (closed_at IS NOT NULL))))),
    CONSTRAINT trades_direction_check CHECK ((direction = ANY (ARRAY['LONG'::text, 'SHORT'::text]))),
    CONSTRAINT trades_entry_price_check CHECK ((entry_price > (0)::numeric)),
    CONSTRAINT trades_plan_version CHECK ((plan_version > 0)),
    CONSTRAINT trades_product_type_check CHECK ((product_type = ANY (ARRAY['MIS'::text, 'CNC'::text, 'NRML'::text]))),
    CONSTRAINT trades_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT trades_short_delivery CHECK ((NOT ((direction = 'SHORT'::text) AND (product_type = 'CNC'::text)))),
    CONSTRAINT trades_status_check CHECK ((status = ANY (ARRAY['OPEN'::text, 'CLOSED'::text])))
);

COMMENT ON TABLE trade_management.trades IS 'Every trade; trade management is its only writer';

COMMENT ON COLUMN trade_management.trades.direction IS 'persisted when the trade is opened and never derived again';

COMMENT ON COLUMN trade_management.trades.charges IS 'null once closed: unknown, as no schedule has rates for one of its days';

COMMENT ON COLUMN trade_management.trades.exit_intent_id IS 'the intent whose fills closed it';

COMMENT ON COLUMN trade_management.trades.plan_version IS 'raised by every change of exit_plan; a caller names the one it read';

COMMENT ON COLUMN trade_management.trades.charges_final IS 'charges are those of contract notes, of entry and exit';

CREATE TABLE trade_management.user_brokers (
    user_broker_id text NOT NULL,
    status text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    entries_held_since timestamp with time zone,
    entries_held_reason text
);

COMMENT ON TABLE trade_management.user_brokers IS 'Projection of UserBrokerChanged on operations.controls.v1: the accounts that a trade may name';

COMMENT ON COLUMN trade_management.user_brokers.changed_at IS 'of the event; an older one changes nothing';

COMMENT ON COLUMN trade_management.user_brokers.entries_held_since IS 'since when no trade may be opened at the account; null: not held';

CREATE TABLE trade_management.waiting_fills (
    waiting_id bigint NOT NULL,
    event_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    topic text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset bigint NOT NULL,
    key bytea,
    value bytea,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    why text NOT NULL,
    arrived_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT waiting_fills_tries_check CHECK ((tries >= 0))
);

COMMENT ON TABLE trade_management.waiting_fills IS 'Records of fills whose trade was locked when they arrived, applied in order per trade';

COMMENT ON COLUMN trade_management.waiting_fills.waiting_id IS 'the order of arrival';

COMMENT ON COLUMN trade_management.waiting_fills.trade_id IS 'no foreign key: its check would wait for the lock that the record waits for';

ALTER TABLE trade_management.waiting_fills ALTER COLUMN waiting_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME trade_management.waiting_fills_waiting_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY trade_management.outbox_event ATTACH PARTITION trade_management.outbox_event_default DEFAULT;

ALTER TABLE ONLY trade_management.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY trade_management.api_tokens
    ADD CONSTRAINT api_tokens_name_key UNIQUE (name);

ALTER TABLE ONLY trade_management.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY trade_management.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (audit_id);

ALTER TABLE ONLY trade_management.charge_schedules
    ADD CONSTRAINT charge_schedules_pkey PRIMARY KEY (exchange, segment, product_type, charge, side, effective_from);

ALTER TABLE ONLY trade_management.consumer_gaps
    ADD CONSTRAINT consumer_gaps_consumer_topic_id_partition_kind_first_offset_key UNIQUE (consumer, topic_id, partition, kind, first_offset);

ALTER TABLE ONLY trade_management.consumer_gaps
    ADD CONSTRAINT consumer_gaps_pkey PRIMARY KEY (gap_id);

ALTER TABLE ONLY trade_management.corporate_actions
    ADD CONSTRAINT corporate_actions_pkey PRIMARY KEY (action_id);

ALTER TABLE ONLY trade_management.final_charges
    ADD CONSTRAINT final_charges_pkey PRIMARY KEY (trade_id, leg, nth);

ALTER TABLE ONLY trade_management.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key);

ALTER TABLE ONLY trade_management.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);

ALTER TABLE ONLY trade_management.log_identity
    ADD CONSTRAINT log_identity_pkey PRIMARY KEY (topic);

ALTER TABLE ONLY trade_management.outbox_discarded
    ADD CONSTRAINT outbox_discarded_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY trade_management.outbox_origin
    ADD CONSTRAINT outbox_origin_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY trade_management.outbox_parked
    ADD CONSTRAINT outbox_parked_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY trade_management.outbox_relay
    ADD CONSTRAINT outbox_relay_pkey PRIMARY KEY (relay_id);

ALTER TABLE ONLY trade_management.outbox_sequence
    ADD CONSTRAINT outbox_sequence_pkey PRIMARY KEY (topic, key);

ALTER TABLE ONLY trade_management.outbox_shard
    ADD CONSTRAINT outbox_shard_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY trade_management.outbox_topic
    ADD CONSTRAINT outbox_topic_pkey PRIMARY KEY (topic);

ALTER TABLE ONLY trade_management.trade_adjustments
    ADD CONSTRAINT trade_adjustments_pkey PRIMARY KEY (action_id, trade_id);

ALTER TABLE ONLY trade_management.trade_closures
    ADD CONSTRAINT trade_closures_nth UNIQUE (trade_id, nth);

ALTER TABLE ONLY trade_management.trade_closures
    ADD CONSTRAINT trade_closures_pkey PRIMARY KEY (closure_id);

ALTER TABLE ONLY trade_management.trade_fills
    ADD CONSTRAINT trade_fills_identity UNIQUE (intent_id, broker_trade_id);

ALTER TABLE ONLY trade_management.trades
    ADD CONSTRAINT trades_exit_intent_key UNIQUE (exit_intent_id);

ALTER TABLE ONLY trade_management.trades
    ADD CONSTRAINT trades_pkey PRIMARY KEY (trade_id);

ALTER TABLE ONLY trade_management.user_brokers
    ADD CONSTRAINT user_brokers_pkey PRIMARY KEY (user_broker_id);

ALTER TABLE ONLY trade_management.waiting_fills
    ADD CONSTRAINT waiting_fills_event UNIQUE (event_id);

ALTER TABLE ONLY trade_management.waiting_fills
    ADD CONSTRAINT waiting_fills_pkey PRIMARY KEY (waiting_id);

CREATE INDEX consumer_gaps_open ON trade_management.consumer_gaps USING btree (consumer) WHERE (acknowledged_at IS NULL);

CREATE UNIQUE INDEX corporate_actions_once ON trade_management.corporate_actions USING btree (symbol, kind, effective_on) WHERE (reversed_at IS NULL);

CREATE INDEX idempotency_keys_by_age ON trade_management.idempotency_keys USING btree (created_at);

CREATE INDEX inbox_by_age ON trade_management.inbox USING btree (at);

CREATE INDEX outbox_discarded_key ON trade_management.outbox_discarded USING btree (key);

CREATE INDEX outbox_event_window ON ONLY trade_management.outbox_event USING btree (shard, xid);

CREATE INDEX outbox_event_default_shard_xid_idx ON trade_management.outbox_event_default USING btree (shard, xid);

CREATE INDEX outbox_parked_key ON trade_management.outbox_parked USING btree (topic, key, sequence);

CREATE INDEX outbox_parked_requested ON trade_management.outbox_parked USING btree (shard, topic, key, sequence) WHERE (request IS NOT NULL);

CREATE INDEX outbox_parked_shard ON trade_management.outbox_parked USING btree (shard, topic, key, sequence);

CREATE INDEX trade_adjustments_of_trade ON trade_management.trade_adjustments USING btree (trade_id);

CREATE UNIQUE INDEX trade_closures_final ON trade_management.trade_closures USING btree (trade_id) WHERE final;

CREATE INDEX trade_fills_of_trade ON trade_management.trade_fills USING btree (trade_id, filled_at);

CREATE INDEX trades_by_status ON trade_management.trades USING btree (status, created_at DESC, trade_id DESC);

CREATE INDEX trades_by_symbol ON trade_management.trades USING btree (symbol, created_at DESC, trade_id DESC);

CREATE INDEX trades_closed_at ON trade_management.trades USING btree (closed_at) WHERE (status = 'CLOSED'::text);

CREATE INDEX trades_newest ON trade_management.trades USING btree (created_at DESC, trade_id DESC);

CREATE INDEX trades_open_of_symbol ON trade_management.trades USING btree (symbol, created_at DESC, trade_id DESC) WHERE (status = 'OPEN'::text);

CREATE INDEX waiting_fills_of_trade ON trade_management.waiting_fills USING btree (trade_id, waiting_id);

ALTER INDEX trade_management.outbox_event_window ATTACH PARTITION trade_management.outbox_event_default_shard_xid_idx;

CREATE TRIGGER charge_lines_insert INSTEAD OF INSERT ON trade_management.charge_lines FOR EACH ROW EXECUTE FUNCTION trade_management.charge_lines_insert();

ALTER TABLE ONLY trade_management.final_charges
    ADD CONSTRAINT final_charges_trade_id_fkey FOREIGN KEY (trade_id) REFERENCES trade_management.trades(trade_id);

ALTER TABLE ONLY trade_management.trade_adjustments
    ADD CONSTRAINT trade_adjustments_action_id_fkey FOREIGN KEY (action_id) REFERENCES trade_management.corporate_actions(action_id);

ALTER TABLE ONLY trade_management.trade_adjustments
    ADD CONSTRAINT trade_adjustments_trade_id_fkey FOREIGN KEY (trade_id) REFERENCES trade_management.trades(trade_id);

ALTER TABLE ONLY trade_management.trade_closures
    ADD CONSTRAINT trade_closures_trade_id_fkey FOREIGN KEY (trade_id) REFERENCES trade_management.trades(trade_id);

ALTER TABLE ONLY trade_management.trade_fills
    ADD CONSTRAINT trade_fills_trade_id_fkey FOREIGN KEY (trade_id) REFERENCES trade_management.trades(trade_id);

GRANT USAGE ON SCHEMA trade_management TO exitflow_trade;
GRANT USAGE ON SCHEMA trade_management TO exitflow_relay;

REVOKE ALL ON FUNCTION trade_management.outbox_close_partition(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION trade_management.outbox_close_partition(name text) TO exitflow_relay;

REVOKE ALL ON FUNCTION trade_management.outbox_drop_partition(name text, retention_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION trade_management.outbox_drop_partition(name text, retention_days integer) TO exitflow_relay;

REVOKE ALL ON FUNCTION trade_management.outbox_empty_default(retention_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION trade_management.outbox_empty_default(retention_days integer) TO exitflow_relay;

REVOKE ALL ON FUNCTION trade_management.outbox_make_partition(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION trade_management.outbox_make_partition(day date) TO exitflow_relay;

REVOKE ALL ON FUNCTION trade_management.outbox_partition_held_by(name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION trade_management.outbox_partition_largest_xid(name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION trade_management.outbox_partitions() FROM PUBLIC;
GRANT ALL ON FUNCTION trade_management.outbox_partitions() TO exitflow_relay;
GRANT ALL ON FUNCTION trade_management.outbox_partitions() TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.alembic_version TO exitflow_trade;
GRANT SELECT ON TABLE trade_management.alembic_version TO exitflow_relay;

GRANT SELECT ON TABLE trade_management.api_tokens TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.audit_log TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.trade_closures TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.charge_lines TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.charge_schedules TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.consumer_gaps TO exitflow_trade;

GRANT UPDATE(missed) ON TABLE trade_management.consumer_gaps TO exitflow_trade;

GRANT UPDATE(acknowledged_at) ON TABLE trade_management.consumer_gaps TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.corporate_actions TO exitflow_trade;

GRANT UPDATE(reversed_at) ON TABLE trade_management.corporate_actions TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.final_charges TO exitflow_trade;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE trade_management.idempotency_keys TO exitflow_trade;

GRANT SELECT,INSERT,DELETE ON TABLE trade_management.inbox TO exitflow_trade;

GRANT UPDATE(at) ON TABLE trade_management.inbox TO exitflow_trade;

GRANT SELECT,INSERT,UPDATE ON TABLE trade_management.log_identity TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.outbox_archive TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_archive TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.outbox_discarded TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_discarded TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.outbox_event TO exitflow_relay;
GRANT SELECT,INSERT ON TABLE trade_management.outbox_event TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.outbox_history TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_history TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.outbox_origin TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_origin TO exitflow_trade;

GRANT UPDATE(held_because) ON TABLE trade_management.outbox_origin TO exitflow_relay;
GRANT UPDATE(held_because) ON TABLE trade_management.outbox_origin TO exitflow_trade;

GRANT UPDATE(log_accepted_until) ON TABLE trade_management.outbox_origin TO exitflow_trade;

GRANT SELECT,INSERT,DELETE ON TABLE trade_management.outbox_parked TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_parked TO exitflow_trade;

GRANT UPDATE(reason) ON TABLE trade_management.outbox_parked TO exitflow_relay;

GRANT UPDATE(request) ON TABLE trade_management.outbox_parked TO exitflow_trade;
GRANT UPDATE(request) ON TABLE trade_management.outbox_parked TO exitflow_relay;

GRANT UPDATE(requested_by) ON TABLE trade_management.outbox_parked TO exitflow_trade;
GRANT UPDATE(requested_by) ON TABLE trade_management.outbox_parked TO exitflow_relay;

GRANT UPDATE(requested_at) ON TABLE trade_management.outbox_parked TO exitflow_trade;
GRANT UPDATE(requested_at) ON TABLE trade_management.outbox_parked TO exitflow_relay;

GRANT UPDATE(request_reason) ON TABLE trade_management.outbox_parked TO exitflow_trade;
GRANT UPDATE(request_reason) ON TABLE trade_management.outbox_parked TO exitflow_relay;

GRANT UPDATE(discard_signature) ON TABLE trade_management.outbox_parked TO exitflow_trade;

GRANT SELECT ON TABLE trade_management.outbox_partition TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_partition TO exitflow_trade;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE trade_management.outbox_relay TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_relay TO exitflow_trade;

GRANT SELECT,INSERT,UPDATE ON TABLE trade_management.outbox_sequence TO exitflow_trade;
GRANT SELECT ON TABLE trade_management.outbox_sequence TO exitflow_relay;

GRANT SELECT,UPDATE ON TABLE trade_management.outbox_shard TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_shard TO exitflow_trade;

GRANT UPDATE(paused) ON TABLE trade_management.outbox_shard TO exitflow_trade;

GRANT SELECT,INSERT,UPDATE ON TABLE trade_management.outbox_topic TO exitflow_relay;
GRANT SELECT ON TABLE trade_management.outbox_topic TO exitflow_trade;

GRANT UPDATE(partitions) ON TABLE trade_management.outbox_topic TO exitflow_trade;

GRANT UPDATE(updated_at) ON TABLE trade_management.outbox_topic TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.trade_adjustments TO exitflow_trade;

GRANT SELECT,INSERT ON TABLE trade_management.trade_fills TO exitflow_trade;

GRANT SELECT,INSERT,UPDATE ON TABLE trade_management.trades TO exitflow_trade;

GRANT SELECT,INSERT,UPDATE ON TABLE trade_management.user_brokers TO exitflow_trade;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE trade_management.waiting_fills TO exitflow_trade;
