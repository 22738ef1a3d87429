"""Find the faults of a running system, and name a remedy."""
