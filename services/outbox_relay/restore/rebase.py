"""Rebase: convert an outbox's progress to this server's transaction numbers after a dump and restore.

The dumped numbers remain comparable with one another, so a dumped snapshot still identifies its published events. All
unpublished events get the rebasing transaction's number. Every shard gets a snapshot excluding only that number and
later ones. The unpublished events are thus the next window, in order of id.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import LiteralString

from services.outbox_relay.database.connection import Connection
from shared.errors import Conflict
from shared.wording import plural

LONG_AGO = 3
"""PostgreSQL's first transaction number; every snapshot sees it."""

CONNECTED = """
-- outbox.rebase.connected: who of these roles is connected to this database
SELECT usename, count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = ANY(%(roles)s)
 GROUP BY usename ORDER BY usename
"""

# A row with the number of its inserting transaction was written here, not restored. If the same transaction
# inserted rows with other numbers too, it was a restore.
_NEW: LiteralString = """
  (e.xmin = e.xid::xid AND e.xmin NOT IN (SELECT DISTINCT o.xmin FROM outbox_event o WHERE o.xmin <> o.xid::xid))
"""

# Dumped numbers compare with dumped snapshots. `new_too` counts rows written here as unpublished whatever
# their numbers.
_UNPUBLISHED: LiteralString = f"""
  ((NOT pg_visible_in_snapshot(e.xid, s.snap)
    AND NOT coalesce(e.id <= s.pos AND pg_visible_in_snapshot(e.xid, s.next_snap), false))
   OR (%(new_too)s AND {_NEW}))
"""

STATE: LiteralString = f"""
-- outbox.rebase.state: the state of the outbox, in its own numbers
WITH shards AS (
  SELECT max(pg_snapshot_xmax(coalesce(next_snap, snap))) AS horizon FROM outbox_shard
), events AS (
  SELECT count(*) AS all_of_them,
         count(*) FILTER (WHERE {_UNPUBLISHED}) AS unpublished,
         count(*) FILTER (WHERE {_NEW}) AS new,
         min(e.xid) FILTER (WHERE {_NEW}) AS first_new,
         max(e.xid) FILTER (WHERE NOT {_NEW}) AS last_old,
         max(e.xid) AS last
    FROM outbox_event e JOIN outbox_shard s USING (shard)
)
SELECT (SELECT system_identifier FROM outbox_origin), (SELECT system_identifier FROM pg_control_system()),
       coalesce(horizon > pg_snapshot_xmax(pg_current_snapshot())
                OR last >= pg_snapshot_xmax(pg_current_snapshot()), false),
       all_of_them, unpublished, new, coalesce(first_new < horizon OR first_new <= last_old, false)
  FROM shards, events
"""  # noqa: S608  # our own text alone

LOCK = "LOCK TABLE outbox_event, outbox_shard IN ACCESS EXCLUSIVE MODE"

OWN_NUMBER = "SELECT pg_current_xact_id()::text"
SNAPSHOT = "SELECT pg_current_snapshot()::text"

# One statement: dumped numbers with new ones in their place must not be looked at again, as the number of this
# transaction may be among them.
REWRITE_EVENTS: LiteralString = f"""
-- outbox.rebase.events: unpublished events belong to this transaction now; published events with numbers not yet given
-- by this server would look unpublished
UPDATE outbox_event e SET xid = CASE WHEN {_UNPUBLISHED} THEN %(here)s::xid8 ELSE %(long_ago)s::xid8 END
  FROM outbox_shard s WHERE s.shard = e.shard AND (e.xid >= %(oldest)s::xid8 OR {_UNPUBLISHED})
"""  # noqa: S608  # our own text alone

REWRITE_SIGNALS: LiteralString = f"""
-- outbox.rebase.signals: a signal has the number of its event; before the events are rewritten
UPDATE exit_signals g SET xid = CASE WHEN now.unpublished THEN %(here)s::xid8 ELSE %(long_ago)s::xid8 END
  FROM (SELECT signal_id, EXISTS (
                 SELECT FROM outbox_event e JOIN outbox_shard s USING (shard)
                  WHERE e.shard = hashtextextended(trade_id::text, 0) & 63 AND e.xid = exit_signals.xid
                    AND e.ce_subject = signal_id::text AND {_UNPUBLISHED}) AS unpublished
          FROM exit_signals) now
 WHERE now.signal_id = g.signal_id AND (now.unpublished OR g.xid >= %(oldest)s::xid8)
"""  # noqa: S608  # our own text alone

RESET_SHARDS = """
-- outbox.rebase.shards: all but this transaction, those at work and those to come is published
UPDATE outbox_shard
   SET snap = %(snapshot)s::pg_snapshot, next_snap = NULL, pos = 0,
       owner = NULL, lease_until = '-infinity', epoch = epoch + 1
"""

FORGET_RELAYS = "DELETE FROM outbox_relay"

ADOPT = """
-- outbox.rebase.adopt: the numbers are this server's from now on
UPDATE outbox_origin SET system_identifier = c.system_identifier, recorded_at = clock_timestamp()
  FROM pg_control_system() c
"""


@dataclass(frozen=True)
class State:
    """An outbox's state before a rebase.

    Attributes
    ----------
    origin, server:
        The system identifiers of the server it came from and of this one.
    is_beyond:
        It has numbers not yet reached by this server.
    new:
        Events written on this server.
    is_ambiguous:
        Numbers of those lie among the restored ones, so they say nothing.
    """

    origin: int
    server: int
    is_beyond: bool
    events: int
    unpublished: int
    new: int
    is_ambiguous: bool

    @property
    def is_needed(self) -> bool:
        """Return True unless the numbers are this server's."""
        return self.is_beyond or self.origin != self.server


@dataclass(frozen=True)
class Permissions:
    """Operator's permissions for a rebase in suspicious situations.

    Attributes
    ----------
    force:
        Go on while services are connected.
    publish_new:
        Where events were written after the restore, publish them all, again if need be.
    adopt:
        Keep the numbers: this is the same history on a server with another identifier, as after pg_upgrade.
    """

    force: bool = False
    publish_new: bool = False
    adopt: bool = False


def inspect(connection: Connection, *, publish_new: bool = False) -> State:
    """Read an outbox's state; changes nothing."""
    row = connection.execute(STATE, {"new_too": publish_new}).fetchone()
    assert row is not None
    return State(*row)


def rebase(connection: Connection, services: Collection[str], allowed: Permissions, *, has_signals: bool) -> State:
    """Rebase the outbox of the connection's schema in one transaction, and return its previous state.

    If the numbers are already this server's, nothing changes.

    Parameters
    ----------
    services:
        Roles to find without connections.
    has_signals:
        Whether the schema has exit signals; they carry the numbers of their events.

    Raises
    ------
    Conflict
        A service is connected, or the numbers do not tell published events from others.
    psycopg.errors.LockNotAvailable
        A transaction on the outbox is open.
    """
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '5s'")
        if not allowed.force:
            _refuse_if_connected(connection, services)
        connection.execute(LOCK)
        state = inspect(connection, publish_new=allowed.publish_new)
        if state.is_needed:
            _refuse_if_unclear(state, allowed)
            if not allowed.adopt:
                _rewrite(connection, allowed.publish_new, has_signals)
            connection.execute(ADOPT)
    return state


def _refuse_if_connected(connection: Connection, services: Collection[str]) -> None:
    found = connection.execute(CONNECTED, {"roles": list(services)}).fetchall()
    if found:
        who = ", ".join(f"{role} ({count})" for role, count in found)
        raise Conflict(f"open connections: {who}. Stop the services, or pass --force.")


def _refuse_if_unclear(state: State, allowed: Permissions) -> None:
    if allowed.adopt and state.is_beyond:
        raise Conflict(
            "--adopt is only for pg_upgrade; this database was restored from another server. Run without --adopt."
        )
    if state.is_ambiguous and not (allowed.adopt or allowed.publish_new):
        raise Conflict(
            f"this server has written {plural(state.new, 'event')}, with numbers among those of the dump: restore "
            "again and rebase before the services start; or give --publish-new to publish all of them, again if need "
            "be; or, if this database was not restored but upgraded by pg_upgrade, --adopt"
        )


def _rewrite(connection: Connection, publish_new: bool, has_signals: bool) -> None:
    here = int(_value(connection, OWN_NUMBER))
    snapshot = snapshot_without(here, _value(connection, SNAPSHOT))
    parameters = {
        "new_too": publish_new,
        "here": str(here),
        "long_ago": str(LONG_AGO),
        "oldest": snapshot.partition(":")[0],
        "snapshot": snapshot,
    }
    statements = [REWRITE_EVENTS, RESET_SHARDS, FORGET_RELAYS]
    for statement in [REWRITE_SIGNALS, *statements] if has_signals else statements:
        connection.execute(statement, parameters)


def snapshot_without(xid: int, snapshot: str) -> str:
    """Return `snapshot` without `xid`, as a transaction's own snapshot never lists its number."""
    xmin, xmax, at_work = snapshot.split(":")
    if xid >= int(xmax):
        return snapshot
    numbers = sorted({*(int(number) for number in at_work.split(",") if number), xid})
    return f"{min(int(xmin), xid)}:{xmax}:{','.join(map(str, numbers))}"


def _value(connection: Connection, query: LiteralString) -> str:
    row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])
