"""Code shared by every service: contracts, outbox, HTTP, PostgreSQL and Kafka adapters."""
