"""Relays with a planted bug for the checker to find. Each is a separate program in place of the relay.

Run as ``python -m tests.chaos.outbox_relay.planted.<name>`` with the relay's settings in the environment.
"""
