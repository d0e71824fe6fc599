"""Inputs of tests: texts, nesting, malformed values."""
