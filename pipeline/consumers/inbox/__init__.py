"""The inbox: which replies a person has to read, and what a person decides about them."""
