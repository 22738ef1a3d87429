"""Options to choose exits, the same for every command."""

from __future__ import annotations

from typing import Annotated

import typer

Symbol = Annotated[str | None, typer.Option(help="Only on this symbol.")]
Broker = Annotated[str | None, typer.Option(help="Only at this user broker.")]
OrderId = Annotated[str | None, typer.Option(help="Only this order: the broker's id of it, or its tag.")]
