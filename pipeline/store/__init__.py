"""Where everything is kept: one code for SQLite and PostgreSQL."""
