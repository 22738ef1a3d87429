"""Speed of exits, orders, closures and POST /trades, measured from outside on a local stack."""
