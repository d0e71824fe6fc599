"""Users: their accounts, sessions, API tokens, and links that work once."""
