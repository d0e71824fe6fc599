"""What the documents and docstrings of the repository say."""
