"""Faults are injected here, and what must hold is checked."""
