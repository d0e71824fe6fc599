"""Prints messages, to try the product on one machine."""
