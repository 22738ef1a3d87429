"""The headers of events as columns of text, ready for the wire; the same in every schema with an outbox.

The column of the document turns into that of its first header, so that no dropped column stays behind in every row
and partitions made before and after are laid out alike. Each partition is written anew once, without dead rows.
Transaction numbers stay: they are values of ``xid``, not the rows' own. Those are all the migration's afterwards, by
which a rebase tells events that were written on its server from restored ones; so where that is still to be told the
migration refuses.
"""

from __future__ import annotations

ORIGIN_KNOWN = """
DO $$ BEGIN
  IF (EXISTS (SELECT FROM outbox_origin o, pg_control_system() c WHERE o.system_identifier <> c.system_identifier)
      OR EXISTS (SELECT FROM outbox_shard
                  WHERE pg_snapshot_xmax(coalesce(next_snap, snap)) > pg_snapshot_xmax(pg_current_snapshot()))
      OR EXISTS (SELECT FROM outbox_event WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())))
     AND EXISTS (SELECT FROM outbox_event e
                  WHERE e.xmin = e.xid::xid
                    AND e.xmin NOT IN (SELECT DISTINCT o.xmin FROM outbox_event o WHERE o.xmin <> o.xid::xid)) THEN
    RAISE EXCEPTION 'the outbox was restored here and events were written since: rebase first, with the version before'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;
"""

NO_OTHER_HEADERS = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM {table}
              WHERE headers - '{{ce_type,ce_source,ce_subject,ce_time,traceparent}}'::text[] <> '{{}}') THEN
    RAISE EXCEPTION '{table} has headers that would be lost' USING ERRCODE = 'check_violation';
  END IF;
END $$;
"""

TOCOLUMNS = """
ALTER TABLE {table}
  ADD COLUMN ce_source text, ADD COLUMN ce_subject text, ADD COLUMN ce_time text, ADD COLUMN traceparent text;
ALTER TABLE {table} RENAME COLUMN headers TO ce_type;
ALTER TABLE {table}
  ALTER COLUMN ce_type TYPE text USING ce_type ->> 'ce_type',
  ALTER COLUMN ce_source TYPE text USING ce_type ->> 'ce_source', ALTER COLUMN ce_source SET NOT NULL,
  ALTER COLUMN ce_subject TYPE text USING ce_type ->> 'ce_subject', ALTER COLUMN ce_subject SET NOT NULL,
  ALTER COLUMN ce_time TYPE text USING ce_type ->> 'ce_time', ALTER COLUMN ce_time SET NOT NULL,
  ALTER COLUMN traceparent TYPE text USING ce_type ->> 'traceparent', ALTER COLUMN traceparent SET NOT NULL;
COMMENT ON COLUMN {table}.ce_type IS 'as ce_source, ce_subject, ce_time, traceparent a header as it goes on the wire';
"""

TO_DOCUMENT = """
COMMENT ON COLUMN {table}.ce_type IS NULL;
ALTER TABLE {table}
  ALTER COLUMN ce_type TYPE jsonb USING jsonb_build_object(
    'ce_type', ce_type, 'ce_source', ce_source, 'ce_subject', ce_subject, 'ce_time', ce_time,
    'traceparent', traceparent);
ALTER TABLE {table} RENAME COLUMN ce_type TO headers;
ALTER TABLE {table}
  DROP COLUMN ce_source, DROP COLUMN ce_subject, DROP COLUMN ce_time, DROP COLUMN traceparent;
"""

CREATE_HISTORY = """
CREATE VIEW outbox_history AS
SELECT xid, id, event_id, shard, topic, key, sequence, {headers}, payload, created_at FROM outbox_event
 UNION ALL
SELECT xid, id, event_id, shard, topic, key, sequence, {headers}, payload, created_at FROM outbox_archive;
COMMENT ON VIEW outbox_history IS 'Every event that is kept, live or closed';
GRANT SELECT ON outbox_history TO exitflow_relay, {writer};
"""

DROP_HISTORY = "DROP VIEW outbox_history;"

_TABLES = ("outbox_event", "outbox_archive", "outbox_parked")
COLUMNS = "ce_type, ce_source, ce_subject, ce_time, traceparent"


def headers_to_columns(writer: str) -> str:
    """The DDL that makes columns of the document; role `writer` may read them."""
    steps = "".join((NO_OTHER_HEADERS + TOCOLUMNS).format(table=table) for table in _TABLES)
    return ORIGIN_KNOWN + DROP_HISTORY + steps + CREATE_HISTORY.format(headers=COLUMNS, writer=writer)


def headers_to_document(writer: str) -> str:
    """The way back."""
    steps = "".join(TO_DOCUMENT.format(table=table) for table in _TABLES)
    return DROP_HISTORY + steps + CREATE_HISTORY.format(headers="headers", writer=writer)
