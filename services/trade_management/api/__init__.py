"""Process trade-api: trades and their P&L over HTTP."""
