"""The shop's events: sent to Kafka, and stored in PostgreSQL, each with its effect exactly once."""
