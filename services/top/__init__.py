"""The live view of a running system in a terminal."""
