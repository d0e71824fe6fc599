"""The inbox: replies that a person has to read."""
