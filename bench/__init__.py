"""Measurements that need what the product does not: `make bench-cluster`."""
