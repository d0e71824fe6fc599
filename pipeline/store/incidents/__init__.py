"""Incidents: what their grouping reads, their current state, and the acts."""
