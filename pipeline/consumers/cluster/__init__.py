"""Cluster mode: the relay to Kafka, the worker as a Faust app, and the runner that several workers share."""
