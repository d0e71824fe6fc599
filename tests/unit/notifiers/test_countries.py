"""The closed days of countries, from the library of holidays and the rules of this version."""

from datetime import date, timedelta

import holidays
import pytest

from pipeline.domain.asking.channels import EMAIL, SMS
from pipeline.domain.asking.quiet_hours import MAX_CLOSED
from pipeline.notifiers.countries import calendar, with_countries


@pytest.mark.parametrize(
    ("zone", "country"),
    [("Europe/Paris", "FR"), ("Asia/Calcutta", "IN"), ("US/Eastern", "US"), ("UTC", None), ("Etc/UTC", None)],
)
def test_a_zone_has_the_country_it_belongs_to_under_any_of_its_names(zone: str, country: str | None) -> None:
    assert calendar().country_of(zone) == country


def test_text_messages_cannot_be_answered_in_some_countries_and_e_mails_everywhere() -> None:
    assert with_countries(SMS).one_way_in == {"CN", "IN"}
    assert not with_countries(EMAIL).one_way_in


def test_no_country_is_closed_for_longer_than_a_question_waits() -> None:
    first, days = date(2026, 1, 1), 365
    for country in holidays.list_supported_countries(include_aliases=False):
        row = 0
        for n in range(days):
            row = row + 1 if calendar().is_closed(country, first + timedelta(days=n)) else 0
            assert timedelta(days=row) < MAX_CLOSED, country
