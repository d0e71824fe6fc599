"""Notices: which change of an incident goes to which receiver, when, and what its route's scope shows of it."""
