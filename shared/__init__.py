"""What every service shares: contracts, the outbox write, the inbox, adapters to PostgreSQL and Kafka."""
