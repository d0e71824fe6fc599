"""Notices silence: of customers about an order, of routes of messages, of sources of events."""
