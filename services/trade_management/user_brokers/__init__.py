"""Accounts that a trade may name, read from operations.controls.v1."""
