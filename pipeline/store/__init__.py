"""The database: one implementation for SQLite and PostgreSQL. No other package contains SQL."""
