"""The check waits for work under way, and says for which rules."""

from __future__ import annotations

import pytest

from services.checker import checker
from services.checker.finding import Finding, Rule, finding
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock

SYSTEM = checker.SystemUnderCheck("", "", Settings())
HOLDS, WAITS = finding(Rule.SIGNAL, 1, []), finding(Rule.OUTCOME, 1, ["an exit is UNKNOWN"])


@pytest.fixture
def said() -> list[str]:
    """The messages of a check."""
    return []


def settle(monkeypatch: pytest.MonkeyPatch, said: list[str], *looks: list[Finding]) -> list[Finding]:
    """Check a system with these looks, a second each, and a limit of four."""
    clock, left = StandingClock(), list(looks)

    def look(_: object, __: object) -> list[Finding]:
        clock.elapsed_s += 1
        return left.pop(0)

    monkeypatch.setattr(checker, "check", look)
    monkeypatch.setattr(checker, "SETTLE_POLL_S", 0.0)
    return checker.check_once_settled(SYSTEM, clock, 4, said.append)


def test_the_rules_waited_for_are_told_once(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    assert settle(monkeypatch, said, [HOLDS, WAITS], [HOLDS, WAITS], [HOLDS]) == [HOLDS]
    assert said == ["not settled yet: 6; looking again for 3 s"]


def test_nothing_is_told_if_everything_holds(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    assert settle(monkeypatch, said, [HOLDS]) == [HOLDS]
    assert said == []


def test_the_last_look_counts(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    assert settle(monkeypatch, said, *([WAITS] for _ in range(4))) == [WAITS]
