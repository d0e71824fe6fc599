"""The customer's form behind the link in a question."""
