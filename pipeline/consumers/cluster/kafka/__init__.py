"""Kafka: clients, topics, and the mapping between records and events."""
