"""The link of an invitation: the page that exchanges it and the command that prints it agree on its form."""

from urllib.parse import urlencode

INVITATION = "/invitation"


def invitation_path(key: str) -> str:
    """Path and query of the link with that key."""
    return f"{INVITATION}?{urlencode({'key': key})}"
