"""The shop's events: sent to Kafka, and stored in PostgreSQL, where each takes effect exactly once."""
