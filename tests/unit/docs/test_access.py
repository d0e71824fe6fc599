"""The table of roles in the documents is the one in the code."""

from pipeline.domain.access.permissions import MEANINGS, ROLES, Permission, Role
from tests.support.paths import ROOT


def test_the_page_has_the_table_of_roles() -> None:
    page = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    head = "| permission | what it allows | " + " | ".join(role.replace("_", " ") for role in Role) + " |"
    assert head in page
    for permission in Permission:
        allowed = " | ".join("yes" if permission in ROLES[role].permissions else "" for role in Role)
        assert f"| `{permission}` | {MEANINGS[permission]} | {allowed} |\n" in page
