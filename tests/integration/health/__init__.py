"""Health of whole processes under faults of what they depend on."""
