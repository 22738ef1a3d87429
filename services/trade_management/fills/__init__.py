"""The process trade-fills: exit fills in, closures out."""
