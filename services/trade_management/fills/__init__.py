"""Process trade-fills: consumes exit fills, books closures."""
