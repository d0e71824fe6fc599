"""Recipients and time of the report by e-mail."""

import pytest
from pydantic import ValidationError

from pipeline.settings import Settings


def test_recipients_are_users_with_an_address_each() -> None:
    found = Settings(digest_to="Anna Roux=anna@example.com, ben=ben@example.com", digest_at="06:30")
    assert found.digest_to == {"Anna Roux": "anna@example.com", "ben": "ben@example.com"}
    assert (found.digest_time.hour, found.digest_time.minute) == (6, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("digest_to", "anna"),
        ("digest_to", "=anna@example.com"),
        ("digest_to", "anna=nowhere"),
        ("digest_to", "anna=a@example.com,anna=b@example.com"),
        ("digest_at", "7"),
        ("digest_at", "24:00"),
        ("digest_weekday", "someday"),
        ("digest_timezone", "Mars/Base"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{name: value})  # type: ignore[arg-type]
    assert [str(error["loc"][0]) for error in refused.value.errors()] == [name]
    assert "@" not in refused.value.errors()[0]["msg"].replace("anna=anna@example.com", ""), "no address is repeated"
