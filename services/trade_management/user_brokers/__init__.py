"""The accounts that a trade may name, followed on operations.controls.v1."""
