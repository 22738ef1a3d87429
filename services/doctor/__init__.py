"""Find what is wrong with a running system, and say what to do."""
