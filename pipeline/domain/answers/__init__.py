"""Answers of customers: what they state, which of them is current, scores, and how text messages are parsed."""
