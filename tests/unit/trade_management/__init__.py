"""Tests of trade management without a server."""
