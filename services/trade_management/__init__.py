"""Trade management: the only writer of trades, their closures and their P&L."""
