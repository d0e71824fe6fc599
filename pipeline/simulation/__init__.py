"""Simulations for the user's own volumes: `unvarnished simulate`."""
