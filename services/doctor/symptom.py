"""A finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a symptom matters."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True)
class Symptom:
    """One thing an operator should know.

    Attributes
    ----------
    subject:
        The process, account, topic or exit concerned.
    finding:
        The observation.
    action:
        The next step, with the command if there is one.
    """

    severity: Severity
    subject: str
    finding: str
    action: str


def problem(subject: str, finding: str, action: str) -> Symptom:
    """Return a symptom that keeps something from working."""
    return Symptom(Severity.PROBLEM, subject, finding, action)


def note(subject: str, finding: str, action: str) -> Symptom:
    """Return a symptom that an operator chose or that heals by itself."""
    return Symptom(Severity.NOTE, subject, finding, action)
