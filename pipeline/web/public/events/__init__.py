"""`POST /v1/events` and the API keys it needs."""
