"""Notify a resting relay of commits: writers notify it while it rests, and pay for no notification while it works.

A relay rests under an exclusive advisory lock. A writer tries the same lock in shared mode until the end of its
transaction, without waiting, and notifies only if it fails. PostgreSQL commits transactions with a notification one
after the other. A relay can begin to rest only while no writer is between its events and its commit, and looks once
more afterwards, so it misses no commit.
"""

from __future__ import annotations

LOCK = "hashtextextended('outbox commits ' || current_schema(), 0)"
"""Key of the advisory lock of one outbox."""

CHANNEL_PREFIX = "outbox_commits_"
"""The channel of an outbox has this prefix and the name of its schema."""

NOTIFY_RESTING = f"""
SELECT pg_notify('{CHANNEL_PREFIX}' || current_schema(), '') WHERE NOT pg_try_advisory_xact_lock_shared({LOCK})
"""
"""Query of a writer, within the transaction of its events."""
