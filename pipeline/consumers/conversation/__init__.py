"""The conversation by text: a text of a customer results in events and a reply."""
