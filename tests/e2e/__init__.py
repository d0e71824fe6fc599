"""Tests of the product as users start it: the command in separate processes."""
