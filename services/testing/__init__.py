"""A running stack as a fixture, for the tests of teams that consume events."""
