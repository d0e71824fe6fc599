"""How long pages take on the database of a large company, each read right after an event."""
