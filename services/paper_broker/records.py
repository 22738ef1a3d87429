"""Read-only records of the broker: orders, trades, holdings and quotes. Never waits for a writer."""

from __future__ import annotations

from collections.abc import Iterable

from services.paper_broker import kite_format, portfolio_format
from services.paper_broker.book_time import book_day, book_opened_ms, to_ms
from services.paper_broker.funds import Funds
from services.paper_broker.kite_errors import no_such_order
from services.paper_broker.kite_format import Json
from services.paper_broker.ledger import Books, Ledger
from services.paper_broker.orders import MAX_VALUE_UNITS, Order
from services.paper_broker.quotes import Quote
from services.paper_broker.trading import funds_in
from shared.clock import Clock


class Records:
    """Data for clients, in Kite's formats. Books cover the current day."""

    def __init__(self, ledger: Ledger, clock: Clock, cash: int = MAX_VALUE_UNITS) -> None:
        self._ledger = ledger
        self._clock = clock
        self._cash = cash

    def orders(self, account: str) -> list[Json]:
        """Return the order book, oldest first."""
        with self._ledger.read() as books:
            hidden = books.surprises.hidden(self.now_ms())
            orders = books.orders.of_account(account, self._book_opened())
            return [kite_format.order(order) for order in orders if order.number not in hidden]

    def order_history(self, account: str, number: int) -> list[Json]:
        """Return an order's states; raise KiteError if it is not in the book."""
        with self._ledger.read() as books:
            return kite_format.order_history(books.orders.states_of(self._order(books, account, number)))

    def trades(self, account: str) -> list[Json]:
        """Return the trade book, oldest first."""
        with self._ledger.read() as books:
            hidden = books.surprises.hidden(self.now_ms())
            fills = books.orders.fills_of_account(account, self._book_opened())
            return [kite_format.trade(fill) for fill in fills if fill.order_number not in hidden]

    def order_trades(self, account: str, number: int) -> list[Json]:
        """Return an order's fills; raise KiteError if it is not in the book."""
        with self._ledger.read() as books:
            self._order(books, account, number)
            return [kite_format.trade(fill) for fill in books.orders.fills_of_order(number)]

    def positions(self, account: str) -> Json:
        """Return net and day positions."""
        with self._ledger.read() as books:
            return portfolio_format.positions(books.positions.of_account(account, book_day(self.now_ms())))

    def holdings(self, account: str) -> list[Json]:
        """Return delivery shares of earlier days."""
        with self._ledger.read() as books:
            return portfolio_format.holdings(books.positions.of_account(account, book_day(self.now_ms())))

    def funds(self, account: str) -> Funds:
        """Return cash, results and margin in use."""
        with self._ledger.read() as books:
            return funds_in(books, account, self._cash, self.now_ms())

    def quotes(self, symbols: Iterable[str]) -> list[Quote]:
        """Return the quotes of those symbols with one, in the requested order."""
        with self._ledger.read() as books:
            return [quote for symbol in symbols if (quote := books.market.quote(symbol))]

    def instruments(self, exchange: str | None = None) -> str:
        """Return the known symbols (of one exchange) as CSV."""
        with self._ledger.read() as books:
            last = {quote.symbol: quote.last_units for quote in books.market.quotes()}
            symbols = books.market.symbols()
        listed = (symbol for symbol in symbols if exchange is None or symbol.startswith(f"{exchange}:"))
        return kite_format.instruments_csv(listed, last)

    def now_ms(self) -> int:
        """Return the broker's time."""
        return to_ms(self._clock.now())

    def _book_opened(self) -> int:
        return book_opened_ms(self.now_ms())

    def _order(self, books: Books, account: str, number: int) -> Order:
        order = books.orders.find(account, number, self._book_opened())
        if order is None or books.surprises.hides(number, self.now_ms()):
            raise no_such_order()
        return order
