"""Histories that `unvarnished replay` processes, one package for each, and what they share."""
