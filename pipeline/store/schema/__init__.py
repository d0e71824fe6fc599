"""The database schema: all tables by subject, and the migrations that create them."""
