"""Outbox relays on one PostgreSQL and one Kafka, measured in one run by one method."""
