"""Fault rules in the ledger."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

from services.paper_broker.call_effects import Call, CallEffect, meets_call
from services.paper_broker.fault_effects import AnswerEffect, OrderEffect, PostbackEffect
from services.paper_broker.faults import EFFECT, Effect, FaultRequest, FaultRule, rules_met

AnyEffect = TypeVar("AnyEffect", OrderEffect, AnswerEffect, PostbackEffect)


class FaultStore:
    """Fault rules within one transaction.

    Parameters
    ----------
    with_rules:
        Accounts with a rule before the transaction; the others need no query.

    Attributes
    ----------
    changed:
        Whether this transaction added or removed a rule.
    """

    def __init__(self, connection: sqlite3.Connection, with_rules: frozenset[str]) -> None:
        self._connection = connection
        self._with_rules = with_rules
        self.changed = False

    def accounts(self) -> frozenset[str]:
        """Return the accounts with a rule."""
        return frozenset(account for (account,) in self._connection.execute("SELECT DISTINCT account FROM fault_rules"))

    def add(self, account: str, request: FaultRequest) -> int:
        """Add a rule after the existing ones; return its id."""
        self.changed = True
        cursor = self._connection.execute(
            "INSERT INTO fault_rules (account, symbol, remaining, effect) VALUES (?, ?, ?, ?)",
            (account, request.symbol, request.count, request.effect.model_dump_json()),
        )
        return int(cursor.lastrowid or 0)

    def in_force(self, account: str, symbol: str | None = None) -> list[FaultRule]:
        """Return the account's rules, oldest first; with `symbol`, only those an order of it would match."""
        rows = self._connection.execute(
            "SELECT rule_id, symbol, remaining, effect FROM fault_rules"
            " WHERE account = ? AND (? IS NULL OR symbol IS NULL OR symbol = ?) ORDER BY rule_id",
            (account, symbol, symbol),
        )
        return [FaultRule(rule, of, left, EFFECT.validate_json(effect)) for rule, of, left, effect in rows]

    def take(self, account: str, symbol: str, of: type[AnyEffect]) -> list[AnyEffect]:
        """Return the effects on one order or update; reduce each rule's count and remove exhausted rules."""
        if account not in self._with_rules and not self.changed:
            return []
        rules = [rule for rule in self.in_force(account, symbol) if isinstance(rule.effect, of)]
        return [effect for effect in self._taken(account, rules) if isinstance(effect, of)]

    def of_call(self, account: str, call: Call) -> list[FaultRule]:
        """Return the rules that a call meets, at most one of each kind."""
        return rules_met([rule for rule in self.in_force(account) if meets_call(rule.effect, call)])

    def take_call(self, account: str, call: Call) -> list[CallEffect]:
        """Return the effects on a call; reduce each rule's count and remove exhausted rules."""
        return [
            effect for effect in self._taken(account, self.of_call(account, call)) if isinstance(effect, CallEffect)
        ]

    def _taken(self, account: str, rules: list[FaultRule]) -> list[Effect]:
        taken = rules_met(rules)
        for rule in taken:
            if rule.remaining == 1:
                self.remove(account, rule.rule_id)
            elif rule.remaining is not None:
                self._connection.execute(
                    "UPDATE fault_rules SET remaining = remaining - 1 WHERE rule_id = ?", (rule.rule_id,)
                )
        return [rule.effect for rule in taken]

    def remove(self, account: str, rule_id: int | None = None) -> int:
        """Remove one rule of the account, or all of them; return how many existed."""
        self.changed = True
        return self._connection.execute(
            "DELETE FROM fault_rules WHERE account = ? AND (? IS NULL OR rule_id = ?)", (account, rule_id, rule_id)
        ).rowcount
