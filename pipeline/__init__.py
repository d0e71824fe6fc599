"""Unvarnished: compares what operations claims about each order with what the customer experienced."""

__version__ = "0.1.0"
