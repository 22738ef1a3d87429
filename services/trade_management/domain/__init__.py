"""Pure domain of trades and fills: the same input always gives the same result."""
