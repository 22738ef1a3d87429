"""All SQL of exit qualification. Each repository works in the transaction of its connection."""
