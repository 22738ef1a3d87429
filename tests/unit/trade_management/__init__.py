"""Tests of trade management that need no server."""
