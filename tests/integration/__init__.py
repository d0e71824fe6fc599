"""Tests that use a real database."""
