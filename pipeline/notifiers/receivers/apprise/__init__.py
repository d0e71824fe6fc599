"""The receiver Apprise: chat and mail services by URLs of the library Apprise."""
