"""The receiver Alertmanager: incidents as alerts of its API v2."""
