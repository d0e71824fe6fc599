"""Incidents and alerts: lists, one incident with what people do about it, and the same as JSON."""
