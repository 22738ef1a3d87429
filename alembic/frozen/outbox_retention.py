"""Partitions of the outbox: made ahead, closed once published, dropped once old; the same in every schema with one.

Live partitions belong to ``outbox_event``: writers add to them and the relay reads them. One whose day is over and
whose events are all published is closed: it moves to ``outbox_archive``, where nobody writes and the relay never
looks. Retention drops from there. Whatever is dated where no partition is, because a clock jumped or no relay made
the partition, lies in the DEFAULT one, which stays for ever.
"""

from __future__ import annotations

CREATE_ORIGIN = """
CREATE TABLE outbox_origin (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  system_identifier bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox_origin IS 'The server whose transaction numbers the outbox speaks of';
INSERT INTO outbox_origin (system_identifier) SELECT system_identifier FROM pg_control_system();
GRANT SELECT ON outbox_origin TO exitflow_relay, {writer};
"""

CREATE_ARCHIVE = """
CREATE TABLE outbox_archive (LIKE outbox_event) PARTITION BY RANGE (created_at);
COMMENT ON TABLE outbox_archive IS
  'Closed partitions of outbox_event: days that are over and published, until retention drops them';
CREATE VIEW outbox_history AS
SELECT xid, id, event_id, shard, topic, key, sequence, headers, payload, created_at FROM outbox_event
 UNION ALL
SELECT xid, id, event_id, shard, topic, key, sequence, headers, payload, created_at FROM outbox_archive;
COMMENT ON VIEW outbox_history IS 'Every event that is kept, live or closed';
GRANT SELECT ON outbox_archive, outbox_history TO exitflow_relay, {writer};
"""

CREATE_LOOKING = """
CREATE FUNCTION outbox_partition_largest_xid(name text) RETURNS xid8
LANGUAGE plpgsql SET search_path = {schema}, pg_temp SET enable_seqscan = off AS $$
DECLARE
  largest xid8;
BEGIN
  EXECUTE format(
    'SELECT max(last.xid) FROM generate_series(0, 63) AS s(shard)
      CROSS JOIN LATERAL (SELECT xid FROM %I e WHERE e.shard = s.shard ORDER BY xid DESC LIMIT 1) last', name)
     INTO largest;
  RETURN largest;
END $$;
COMMENT ON FUNCTION outbox_partition_largest_xid IS 'The largest xid in a partition, by a look into its index a shard';

CREATE FUNCTION outbox_partition_held_by(name text) RETURNS smallint[]
LANGUAGE plpgsql SET search_path = {schema}, pg_temp SET enable_seqscan = off AS $$
DECLARE
  shards smallint[];
BEGIN
  EXECUTE format(
    'SELECT coalesce(array_agg(s.shard ORDER BY s.shard), ''{{}}'') FROM outbox_shard s
      WHERE EXISTS (SELECT FROM %1$I e WHERE e.shard = s.shard AND e.xid >= pg_snapshot_xmax(s.snap))
         OR EXISTS (SELECT FROM pg_snapshot_xip(s.snap) AS was_at_work(xid)
                     CROSS JOIN LATERAL (SELECT FROM %1$I e WHERE e.shard = s.shard AND e.xid = was_at_work.xid
                                          LIMIT 1) late)', name)
     INTO shards;
  RETURN shards;
END $$;
COMMENT ON FUNCTION outbox_partition_held_by IS 'The shards that are not known to have published all of a partition';
REVOKE EXECUTE ON FUNCTION outbox_partition_largest_xid, outbox_partition_held_by FROM PUBLIC;
"""

CREATE_CATALOGUE = """
CREATE VIEW outbox_partition_range AS
SELECT p.oid, p.relname::text AS name, p.live,
       CASE WHEN p.bound = 'DEFAULT' THEN 'default' WHEN p.live THEN 'live' ELSE 'closed' END AS state,
       substring(p.bound FROM 'FROM \\(''([^'']+)''\\)')::timestamptz AS from_at,
       substring(p.bound FROM 'TO \\(''([^'']+)''\\)')::timestamptz AS until_at
  FROM (SELECT c.oid, c.relname, i.inhparent = 'outbox_event'::regclass AS live,
               pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent IN ('outbox_event'::regclass, 'outbox_archive'::regclass)) p;
COMMENT ON VIEW outbox_partition_range IS 'The partitions there are and the time that each is for';

CREATE FUNCTION outbox_partitions() RETURNS TABLE (
  name text, state text, from_at timestamptz, until_at timestamptz,
  events bigint, bytes bigint, largest_xid xid8, held_by smallint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
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
    held_by := '{{}}';
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
REVOKE EXECUTE ON FUNCTION outbox_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_partitions TO exitflow_relay, {writer};
COMMENT ON FUNCTION outbox_partitions IS 'What stands behind the view outbox_partition';
CREATE VIEW outbox_partition AS SELECT * FROM outbox_partitions();
COMMENT ON VIEW outbox_partition IS
  'What is kept: live, closed or default, its range, an estimate of its events, the shards that still need it';
GRANT SELECT ON outbox_partition TO exitflow_relay, {writer};
"""

CREATE_MAKING = """
CREATE FUNCTION outbox_make_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
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
COMMENT ON FUNCTION outbox_make_partition IS
  'Make the partition of a day (UTC): made, exists, busy, or in default, which already holds events of that day';
"""

CREATE_CLOSING = """
CREATE FUNCTION outbox_close_partition(name text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
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
  ELSIF outbox_partition_held_by(name) <> '{{}}' THEN
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
END $$;
COMMENT ON FUNCTION outbox_close_partition IS
  'Archive a partition whose day is over and published: closed, unpublished, not over, not live, busy (try again)';
"""

CREATE_DROPPING = """
CREATE FUNCTION outbox_drop_partition(name text, retention_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
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
END $$;
COMMENT ON FUNCTION outbox_drop_partition IS
  'Drop a closed partition that ended so many days ago: dropped, kept, busy; it locks nobody out of outbox_event';

CREATE FUNCTION outbox_empty_default(retention_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
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
  ELSIF outbox_partition_held_by('outbox_event_default') <> '{{}}' THEN
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
COMMENT ON FUNCTION outbox_empty_default IS
  'Truncate the default partition once all in it is published and so old: emptied, empty, unpublished, young, busy';
"""

GRANT_TO_RELAY = """
REVOKE EXECUTE ON FUNCTION outbox_make_partition, outbox_close_partition, outbox_drop_partition, outbox_empty_default
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_make_partition, outbox_close_partition, outbox_drop_partition, outbox_empty_default
  TO exitflow_relay;
"""

DROP_RETENTION = """
DROP FUNCTION outbox_empty_default, outbox_drop_partition, outbox_close_partition, outbox_make_partition;
DROP VIEW outbox_partition;
DROP FUNCTION outbox_partitions, outbox_partition_held_by, outbox_partition_largest_xid;
DROP VIEW outbox_partition_range, outbox_history;
DROP TABLE outbox_archive, outbox_origin;
"""


def create_retention(schema: str, writer: str) -> str:
    """The DDL for the outbox of `schema`, written by role `writer`, kept in order by role ``exitflow_relay``."""
    parts = (CREATE_ORIGIN, CREATE_ARCHIVE, CREATE_LOOKING, CREATE_CATALOGUE, CREATE_MAKING, CREATE_CLOSING)
    return "".join((*parts, CREATE_DROPPING, GRANT_TO_RELAY)).format(schema=schema, writer=writer)
