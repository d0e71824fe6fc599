"""Users of the internal listener in a real browser."""
