"""The areas of the internal pages: one line each. The frame shows those that the viewer may open."""

from typing import NamedTuple

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal


class Area(NamedTuple):
    """A link to a page: who may open it, and what it is for (settings only)."""

    name: str
    path: str
    permission: Permission
    meaning: str = ""


AREAS = (
    Area("Today", "/", Permission.FIGURES),
    Area("Dashboard", "/dashboard", Permission.FIGURES),
    Area("Incidents", "/incidents", Permission.FIGURES),
    Area("Cases", "/cases", Permission.CASES),
    Area("Inbox", "/inbox", Permission.WORDS),
    Area("Orders", "/orders", Permission.ORDERS),
    Area("Segments", "/segments", Permission.FIGURES),
    Area("Accounts", "/accounts", Permission.FIGURES),
    Area("Verbatims", "/verbatims", Permission.WORDS),
    Area("Report", "/report", Permission.FIGURES),
    Area("Settings", "/settings", Permission.OWN_ACCOUNT),
)
SETTINGS = (
    Area("Your account", "/account", Permission.OWN_ACCOUNT, "Password, second factor, sessions and API tokens."),
    Area("Users", "/users", Permission.USERS, "Who may sign in, in which role, and which orders they see."),
    Area("Personal data", "/persons", Permission.ERASE, "Find, export and erase what is known of a person."),
    Area("Acts", "/acts", Permission.ACTS, "Who did what when, to what, and from where."),
)


def open_to(areas: tuple[Area, ...], viewer: Principal) -> list[Area]:
    """Those of these areas that the viewer may open."""
    return [area for area in areas if viewer.may(area.permission)]


def areas_of(viewer: Principal) -> list[Area]:
    """The areas in the frame of a page."""
    return open_to(AREAS, viewer)
