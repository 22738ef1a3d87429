"""Tools of a language model: questions to a running system, and, if allowed, changes of it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from services.cli.support.api_client import ApiClient, Json
from shared.clock import SystemClock, trading_day
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode, TradeStatus

Symbol = Annotated[str | None, Field(description="EXCHANGE:SYMBOL, e.g. NSE:INFY")]
Account = Annotated[str | None, Field(description="user_broker_id of the account at a broker")]
Limit = Annotated[int, Field(ge=1, le=100, description="items at most")]
Reason = Annotated[str, Field(min_length=3, max_length=500, description="why, for the audit log")]


class ReadTools:
    """Questions; none of them changes anything.

    Parameters
    ----------
    exits, trades:
        exit-api and trade-api with the operator's token.
    """

    def __init__(self, exits: ApiClient, trades: ApiClient) -> None:
        self._exits = exits
        self._trades = trades

    def pending_exits(
        self,
        symbol: Symbol = None,
        user_broker_id: Account = None,
        status: IntentStatus | None = None,
        exit_reason: ExitReason | None = None,
        older_than_s: Annotated[float | None, Field(ge=0)] = None,
        limit: Limit = 50,
    ) -> Json:
        """List exits still under way, oldest first, each with the verdict of every gate; count all by status."""
        return self._exits.get(
            "/exits/pending",
            symbol=symbol,
            user_broker_id=user_broker_id,
            status=status,
            exit_reason=exit_reason,
            older_than_s=older_than_s,
            counts=True,
            limit=limit,
        )

    def recent_exits(
        self, symbol: Symbol = None, status: IntentStatus | None = None, trade_id: UUID | None = None, limit: Limit = 20
    ) -> Json:
        """List exits of every status, ended ones too, newest first."""
        return self._exits.get("/exits", symbol=symbol, status=status, trade_id=trade_id, order="newest", limit=limit)

    def find_order(
        self, order_id: Annotated[str, Field(max_length=100, description="the broker's id of an order, or its tag")]
    ) -> Json:
        """Tell what happened to an order at a broker: its exits and its protective stops."""
        return {
            "exits": self._exits.get("/exits", order_id=order_id, limit=5)["items"],
            "protective_stops": self._exits.get("/protective-stops", order_id=order_id, limit=5)["items"],
        }

    def nearest_stops(self, symbol: Symbol = None, user_broker_id: Account = None, limit: Limit = 25) -> Json:
        """List open trades, nearest to their stop loss first. Trailing stops are not among them."""
        return self._exits.get("/exits/nearest", symbol=symbol, user_broker_id=user_broker_id, limit=limit)

    def show_exit(self, intent_id: UUID) -> Json:
        """Show one exit: status, gates, order, fills and errors."""
        return self._exits.get(f"/exits/{intent_id}")

    def why_exit(self, trade_id: UUID) -> Json:
        """Explain why a trade exited or did not: a timeline, and how far each rule is from the last price."""
        return self._exits.get(f"/exits/why/{trade_id}")

    def list_trades(self, status: TradeStatus | None = None, symbol: Symbol = None, limit: Limit = 50) -> Json:
        """List trades with their exit plans, newest first."""
        return self._trades.get("/trades", status=status, symbol=symbol, limit=limit)

    def show_trade(self, trade_id: UUID) -> Json:
        """Show one trade with its exit plan, P&L and charges, and its timeline of fills and closures."""
        return {
            "trade": self._trades.get(f"/trades/{trade_id}"),
            "timeline": self._trades.get(f"/trades/{trade_id}/timeline")["items"],
        }

    def profit_and_loss(
        self,
        day: Annotated[str | None, Field(description="YYYY-MM-DD in Asia/Kolkata, or today; all by default")] = None,
        group_by: Annotated[str | None, Field(pattern="^(day|symbol|user_broker_id|exit_reason|product_type)$")] = None,
    ) -> Json:
        """Return gross and net P&L and charges of the trades closed on a day, or on all days."""
        wanted = str(trading_day(SystemClock().now())) if day == "today" else day
        return self._trades.get("/pnl", day=wanted, group_by=group_by)

    def outbox_status(self) -> Json:
        """Show both outboxes: waiting events, the age of the oldest, parked events, shards without a relay."""
        return {"exit": self._exits.get("/outbox")["totals"], "trade": self._trades.get("/outbox")["totals"]}

    def parked_events(self, limit: Limit = 50) -> Json:
        """List events of both outboxes refused by Kafka, with the reason."""
        return {
            "exit": self._exits.get("/outbox/parked", limit=limit)["items"],
            "trade": self._trades.get("/outbox/parked", limit=limit)["items"],
        }

    def controls(self) -> Json:
        """Show kill switch, rollout, and the accounts at brokers with their last errors."""
        return {
            "kill_switch": self._exits.get("/kill-switch"),
            "rollout": self._exits.get("/rollout"),
            "brokers": self._exits.get("/brokers")["items"],
        }

    def audit_log(self, limit: Limit = 25) -> Json:
        """List operators' actions on exits and on trades, newest first."""
        return {
            "exit": self._exits.get("/audit", limit=limit)["items"],
            "trade": self._trades.get("/audit", limit=limit)["items"],
        }


class ChangeTools:
    """Changes allowed to the model by an operator; each is audited with its reason."""

    def __init__(self, exits: ApiClient) -> None:
        self._exits = exits

    def force_exit(self, trade_id: UUID, reason: Reason) -> Json:
        """Exit an open trade at the market now. The kill switch does not hold it back. Cannot be undone."""
        return self._exits.post("/exits", {"trade_id": str(trade_id), "reason_note": reason})

    def withdraw_exit(self, intent_id: UUID, reason: Reason) -> Json:
        """Cancel an unsent exit. The trade stays open, and a rule may exit it again."""
        return self._exits.post(f"/exits/{intent_id}/withdraw", {"reason": reason})

    def set_kill_switch(self, mode: KillSwitchMode, reason: Reason) -> Json:
        """Set the kill switch. ALL holds back every exit but a manual one; OFF lets exits run."""
        return self._exits.put("/kill-switch", {"mode": mode, "reason": reason})


def methods_of(tools: ReadTools | ChangeTools) -> list[Any]:
    """Return the tools of an object, in their order in the code."""
    return [getattr(tools, name) for name in vars(type(tools)) if not name.startswith("_")]
