"""A broker for paper trading with Kite Connect v3 over HTTP."""
