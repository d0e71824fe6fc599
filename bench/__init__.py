"""Benchmarks that compare the worker with other frameworks, in an environment of their own: `make bench-cluster`."""
