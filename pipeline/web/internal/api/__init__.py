"""The read API of the internal listener, `/v1/...`."""
