"""Connections, locks, and statements that write many rows at once."""
