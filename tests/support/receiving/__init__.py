"""Real receivers for tests: HTTP and mail servers that note what they get, and Alertmanager."""
