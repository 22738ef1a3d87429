"""Sending of approved exits to their brokers, each at most once."""
