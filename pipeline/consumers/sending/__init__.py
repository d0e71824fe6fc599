"""Sending questions with leases, recording what became of them, and polling the providers' lists of inbound texts."""
