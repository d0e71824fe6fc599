"""Whom to ask, when and on which channel: eligibility, channels, quiet hours, the decision to send, ask states."""
