"""HTTP of every API, tested once for all of them on a real PostgreSQL."""
