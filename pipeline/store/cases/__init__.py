"""Cases and their acts in the database."""
