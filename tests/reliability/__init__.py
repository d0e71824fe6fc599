"""Tests that inject faults and check the invariants afterwards."""
