"""Health of whole processes under faults of their dependencies."""
