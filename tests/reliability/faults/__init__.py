"""Fault injection on a cluster of real processes, checked against a reference run: `make bench WHAT=faults`."""
