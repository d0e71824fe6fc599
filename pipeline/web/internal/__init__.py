"""The internal listener: pages for operations and management, the read API, health and metrics."""
