"""Findings of the checker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Rule(Enum):
    """An invariant by its number in the design; the broker's books are an additional check."""

    SIGNAL = ("1", "no intent without its signal")
    PUBLICATION = ("2", "no event without its row, no row unpublished; in order and without gaps per key")
    CLOSURE = ("3", "no trade closed without its fills; quantities and P&L recomputed")
    ONE_EXIT = ("4", "at most one live or filled intent per trade and user broker")
    EFFECTS = ("5", "duplicate deliveries change nothing: each event and each closure once")
    OUTCOME = ("6", "every outcome is known, and is the sum of its fills")
    WRITERS = ("7", "trade management is the only writer of trades")
    BROKER = ("B", "the broker's own books say the same")

    def __init__(self, number: str, statement: str) -> None:
        self.number = number
        self.statement = statement


@dataclass(frozen=True)
class Finding:
    """The verdict on one rule.

    Attributes
    ----------
    checked:
        Number of checked items; 0 means nothing was checked, so the rule holds trivially.
    violations:
        A line for each.
    note:
        A remark for the reader.
    """

    rule: Rule
    checked: int
    violations: tuple[str, ...] = ()
    note: str = ""

    @property
    def holds(self) -> bool:
        """Return True if there are no violations."""
        return not self.violations


def verdict(findings: Sequence[Finding]) -> str:
    """Summarize the findings in one line."""
    violated = [finding.rule.number for finding in findings if not finding.holds]
    if not violated:
        return f"all {len(findings)} invariants hold"
    return f"check failed: {len(violated)} of {len(findings)} invariants violated ({', '.join(violated)})"


def finding(rule: Rule, checked: int, violations: Iterable[str], note: str = "") -> Finding:
    """Build the finding, each violation once."""
    return Finding(rule, checked, tuple(dict.fromkeys(violations)), note)
