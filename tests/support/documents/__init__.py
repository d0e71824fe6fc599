"""Checks of the texts in the documents and docstrings of the repository."""
