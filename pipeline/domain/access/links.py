"""The link of an invitation: the page that exchanges it and the command that prints it agree on its form."""

INVITATION = "/invitation"


def invitation_path(key: str) -> str:
    """Path and query of the link with that key, which has letters, digits, "-" and "_" only."""
    return f"{INVITATION}?key={key}"
