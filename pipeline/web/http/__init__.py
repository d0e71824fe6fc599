"""What both listeners share: server, protocol limits, headers, errors, forms, templates and rate limits."""
