"""A running stack as a fixture, for the tests of teams with consumers of events."""
