"""Figures of a segment: counters, indicators of embellishment, diagnosis, NPS, and alerts as reports show them."""
