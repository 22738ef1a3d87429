"""Accounts at the broker: reading side by side, refused tokens, errors and loss limits."""
