"""Conditions on the status of rows whose ids a statement has."""

from __future__ import annotations


def in_status(row: str, *statuses: str) -> str:
    """Return the SQL condition that a row has one of these statuses, in words of no index.

    Indexes of open trades or pending exits alone have a plain condition on the status. Where statistics know of no such
    row, as in the evening, the planner would read such an index from end to end for the rows of a few ids: a cost
    growing with the book until the next ANALYZE. Not for statements without ids: the planner would take the condition
    for rarely true, and begin with it (decision 169).
    """
    values = ", ".join(f"'{status}'" for status in statuses)
    return f"{row}.status || '' IN ({values})"
