"""Periods of reports: the spans that make them up, and what changed between them."""
