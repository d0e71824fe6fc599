"""Counters, figures, alerts and findings that tests of the statistics share."""
