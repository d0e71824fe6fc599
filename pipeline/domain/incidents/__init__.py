"""Incidents: one cause with its alerts, how they are grouped, and what people do about them."""
