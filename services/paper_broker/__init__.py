"""A broker for paper trading that speaks Kite Connect v3 over HTTP."""
