"""Last prices of symbols."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.context import ConsoleContext, attempt
from services.console.sessions import Session


async def last_prices(context: ConsoleContext, session: Session, symbols: Sequence[str]) -> dict[str, str]:
    """Return the known last prices of symbols; empty while exit-api does not tell."""
    if not symbols:
        return {}
    answer = await attempt(context.exit_api, session.token, "/prices", symbols=",".join(symbols))
    return {each["symbol"]: each["last_price"] for each in answer.items() if each["last_price"] is not None}
