"""Channels to customers behind one contract (`port`), their registry, and the wording of what people read."""
