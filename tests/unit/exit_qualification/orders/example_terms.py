"""Terms of orders as in production, for tests without a database."""

from __future__ import annotations

from datetime import timedelta

from services.exit_qualification.orders.terms import OrderTerms

TERMS = OrderTerms(
    claim=timedelta(seconds=30),
    call_limit=timedelta(seconds=14),
    unfilled_cancel=timedelta(seconds=10),
    absence_gap=timedelta(seconds=120),
    late_watch=timedelta(seconds=2),
    backoff_first_s=1,
    backoff_max_s=30,
)
