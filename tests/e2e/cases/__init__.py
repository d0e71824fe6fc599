"""Incidents and alerts on the internal listener in a real browser."""
