"""Pure: what a trade is, and what its fills make of it; the same input always gives the same result."""
