"""Recorded ticks as commands read them: files, and ranges of Kafka topics."""
