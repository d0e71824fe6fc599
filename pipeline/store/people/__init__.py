"""Contacts and their encryption, opt-outs, and API keys."""
