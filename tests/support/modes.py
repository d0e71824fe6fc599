"""The modes and databases of a test of behaviour: `parametrize("database_url", EVERYWHERE, indirect=True)`."""

EVERYWHERE = ("sqlite", "postgresql", "cluster")
