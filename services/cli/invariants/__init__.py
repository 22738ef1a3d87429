"""The checker: what must hold, read from the databases, the Kafka log and the broker's books, and never changed."""
