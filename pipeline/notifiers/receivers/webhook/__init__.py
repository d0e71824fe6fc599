"""The receiver webhook: signed requests in the form of Standard Webhooks."""
