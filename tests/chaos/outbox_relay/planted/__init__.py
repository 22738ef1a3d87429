"""Relays with a bug that the checker must convict. Each is a program of its own in the relay's place.

Run as ``python -m tests.chaos.outbox_relay.planted.<name>`` with the relay's settings in the environment.
"""
