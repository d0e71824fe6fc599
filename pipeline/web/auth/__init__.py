"""Signing in to the internal listener, and the mark of routes that need no sign-in."""

OPEN = {"open": True}  # `opt` of a route that anybody may call
