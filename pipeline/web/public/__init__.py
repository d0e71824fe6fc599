"""The public listener: events from other systems, the customers' form, and calls of providers."""
