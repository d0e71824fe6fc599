"""Links that work once: the page that exchanges a link and what prints it agree on its form."""

from datetime import timedelta

INVITATION = "/invitation"
START = "/sign-in/start"
START_LINK_LASTS = timedelta(hours=1)  # it stands in the log, so it ends soon; `unvarnished users link` prints another


def invitation_path(key: str) -> str:
    """Path and query of an invitation with that key, which has letters, digits, "-" and "_" only."""
    return f"{INVITATION}?key={key}"


def start_path(key: str) -> str:
    """Path and query of a start link with that key, as of an invitation."""
    return f"{START}?key={key}"
