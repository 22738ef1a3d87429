"""The contracts other teams build on: topics, events, ticks. JSON Schemas and AsyncAPI are made from here."""
