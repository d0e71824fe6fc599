"""Tests that inject a fault and check that nothing is lost and nothing happens twice."""
