"""Recorded markets: ticks of a file through a book of trades, offline, with the engine and charges of the services."""
