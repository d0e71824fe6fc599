"""Orders, their figures, and timers."""
