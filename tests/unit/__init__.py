"""Tests that need neither database nor network."""
