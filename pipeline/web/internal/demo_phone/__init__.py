"""The page of the demo's phones."""
