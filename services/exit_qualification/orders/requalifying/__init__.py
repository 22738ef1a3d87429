"""Unsent exits, judged again with current facts."""
