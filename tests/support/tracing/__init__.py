"""Counts the files that an event crosses: `python -m tests.support.tracing` (in cluster mode it starts PostgreSQL)."""
