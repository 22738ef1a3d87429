"""Sending of approved exits, and their outcomes according to the broker's books."""
