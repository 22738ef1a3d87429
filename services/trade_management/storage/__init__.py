"""All SQL of trade management."""
