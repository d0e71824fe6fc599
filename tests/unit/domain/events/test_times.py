"""When a day ends, and which names and spellings of times are read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import places_of
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.domain.events.times import deadline, zone
from pipeline.settings import Settings
from tests.support.builders import MONDAY, completed, contact, repromised, scanned

_MOMENT = timedelta(microseconds=1)
# Clocks change at midnight, or so that midnight is skipped or comes twice; Apia left out a whole day.
_ZONES = (
    "Africa/Cairo", "America/Nuuk", "America/Scoresbysund", "America/Santiago", "America/Asuncion", "America/Havana",
    "America/Sao_Paulo", "America/St_Johns", "Asia/Beirut", "Asia/Gaza", "Asia/Amman", "Atlantic/Azores",
    "Europe/Paris", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein", "Australia/Lord_Howe", "UTC",
)  # fmt: skip


@pytest.mark.parametrize(
    ("day", "name", "end"),
    [
        ("2026-10-29", "Africa/Cairo", "2026-10-29T21:59:59.999999+00:00"),  # clocks go back at 24:00
        ("2026-10-24", "America/Nuuk", "2026-10-25T01:59:59.999999+00:00"),
        ("2026-04-04", "America/Santiago", "2026-04-05T03:59:59.999999+00:00"),
        ("2026-03-28", "America/Nuuk", "2026-03-29T00:59:59.999999+00:00"),  # clocks go forward at 23:00
    ],
)
def test_a_day_ends_at_its_true_end_when_clocks_change_at_midnight(day: str, name: str, end: str) -> None:
    assert deadline(day, name) == datetime.fromisoformat(end)


@given(
    day=st.dates(datetime(1971, 1, 1).date(), datetime(2060, 1, 1).date()),  # noqa: DTZ001
    name=st.sampled_from(_ZONES),
    near=st.booleans(),
)
def test_a_promise_by_date_is_kept_by_the_last_moment_of_that_day_and_by_none_later(
    day: object, name: str, near: bool
) -> None:
    where = ZoneInfo(name)
    stated = str(_day_of_a_change(day, where) if near else day)
    end = deadline(stated, name)
    assert str(end.astimezone(where).date()) <= stated
    for later in (_MOMENT, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2), timedelta(hours=26)):
        assert str((end + later).astimezone(where).date()) > stated


def _day_of_a_change(day: object, where: ZoneInfo) -> object:
    """The first day from `day` on that has not 24 hours in this zone; `day` if there is none within two years."""
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    for _ in range(730):
        after = noon + timedelta(days=1)
        if noon.astimezone(where).utcoffset() != after.astimezone(where).utcoffset():
            return noon.astimezone(where).date()
        noon = after
    return day


@pytest.mark.parametrize(
    "stated",
    ["2026-W48-5", "2026-w48-5", "20261127T0", "2026-331-0", "2026/11/27", " 2026-11-2", "2026-11-2 ", "27.11.2026",
     "2026-1-027", "\u0662\u0660\u0662\u0666-11-27", "2026-11-31", "2026-00-10"],
)  # fmt: skip
def test_a_date_that_is_not_written_as_year_month_day_is_refused(stated: str) -> None:
    with pytest.raises(BadEvent) as refused:
        decode(completed(promised_at=stated, timezone="Europe/Paris"))
    assert refused.value.field == "data.promised_at"
    with pytest.raises(BadEvent) as refused:
        decode(scanned(estimated_at=stated))
    assert refused.value.field == "data.estimated_at"


NO_NAMES = [
    "localtime", "posixrules", "Factory", "posix/Europe/Paris", "right/Europe/Paris", "right/UTC", "europe/paris",
    "Europe//Paris", "Europe/./Paris", "/usr/share/zoneinfo/Europe/Paris", "zone.tab", "leapseconds", "+01:00",
    "UTC+1", " UTC", "", "Europe", "Europe/Paris ", "./UTC",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_time_zone_has_its_iana_name(name: str) -> None:
    for raw, field in (
        (completed(timezone=name), "data.timezone"),
        (completed(contacts=[contact(timezone=name)]), "data.contacts[0].timezone"),
        (repromised("SO-1", MONDAY, "2026-03-09", timezone=name), "data.timezone"),
        (repromised("SO-1", MONDAY, MONDAY, timezone=name), "data.timezone"),
    ):
        with pytest.raises(BadEvent, match="is not an IANA time zone") as refused:
            decode(raw)
        assert refused.value.field == field


@pytest.mark.parametrize("name", ["localtime", "right/UTC"])
def test_a_setting_names_time_zones_in_the_same_way(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        Settings(customer_timezones=name)


@pytest.mark.parametrize("name", ["UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "EST5EDT", "Asia/Calcutta"])
def test_every_iana_name_is_accepted_old_ones_too(name: str) -> None:
    assert decode(completed(timezone=name)).data.timezone == name


def test_a_zone_that_an_earlier_version_accepted_stays_readable() -> None:
    assert Place(zone("right/UTC").key) in places_of(None, "right/UTC", Policy())
