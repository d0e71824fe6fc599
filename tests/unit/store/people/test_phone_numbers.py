"""Phone numbers as people write them are understood, or not used. Most are numbers reserved for fiction."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.people.phone_numbers import country_code, country_of, e164
from pipeline.store.people.vault import Vault

FRENCH = "+33639981320"


@pytest.mark.parametrize(
    "written",
    [
        *("+33639981320", "+33 6 39 98 13 20", "+33 (0)6 39 98 13 20", "(+33) 6-39-98-13-20", "tel:+33-6-39-98-13-20"),
        *("0033639981320", "00 33 6 39 98 13 20", "(00)33 6 39 98 13 20", "0033 (0)6.39.98.13.20", "+0033639981320"),
        *("\u202a+33639981320\u202c", "\uff0b33 639981320", "+33\u00a06\u00a039\u00a098\u00a013\u00a020"),
        *("+33639981320 (Ana)", "mobile: +33639981320", "+33639981320 ext. 5", "+33639981320;+33639981321"),
        *("+33639981320 / +33639981321", "+33639981320, +33639981321", "+33639981320\n+33639981321"),
        *("+33639981320+33639981321", "n/a; +33639981320", "+33 1 02, +33639981320"),
    ],
)
def test_with_its_country_code_a_number_is_understood_in_any_country(written: str) -> None:
    assert {e164(written, country) for country in (None, "FR", "DE", "US")} == {FRENCH}


@pytest.mark.parametrize(
    "written",
    [
        *("06 39 98 13 20", "0639981320", "06.39.98.13.20", "06-39-98-13-20", "(0)6 39 98 13 20", "'0639981320"),
        *("639981320", "33639981320", "33 6 39 98 13 20", "33639981320.0", "٠٦ ٣٩ ٩٨ ١٣ ٢٠", "+33639981320"),
        *("06 39 98 13 20 poste 12", "06 39 98 13 20 x12", "06 39 98 13 20 #12", "Tel: 06 39 98 13 20 (Ana)"),
        *("06 39 98 13 20 / 06 39 98 13 21", "0639981320 ou 0639981321", "0639981320/21", "0639981320 0639981321"),
    ],
)
def test_a_national_number_belongs_to_the_country_that_is_known(written: str) -> None:
    assert e164(written, "FR") == FRENCH


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("07700 900123", "GB", "+447700900123"),
        ("(212) 555-0123 x12", "US", "+12125550123"),
        ("1-212-555-0123", "US", "+12125550123"),
        ("011 33 6 39 98 13 20", "US", FRENCH),
        ("33639981320", "US", FRENCH),
        ("030/1234567", "DE", "+49301234567"),
        ("49 171 1234567", "DE", "+491711234567"),
        ("06 12345678", "IT", "+390612345678"),
        ("612 34 56 78", "ES", "+34612345678"),
        ("8 912 345-67-89", "RU", "+79123456789"),
    ],
)
def test_each_country_has_its_own_way_to_write(written: str, country: str, number: str) -> None:
    assert e164(written, country) == number


def test_of_several_numbers_a_landline_is_not_the_first_choice() -> None:
    assert e164("030 1234567 / 0171 1234567", "DE") == "+491711234567"
    assert e164("030 1234567 / 030 1234568", "DE") == "+49301234567"


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "-", "0", "n/a", "unknown", "short code", "Acme", "112", "72345", "+33", "06 39 98", "+", "ext. 5"),
        *("3.3639981323E+10", "ana@example.com", "2026-11-20", "+33 6 39 98 13 20 99 99 99 99", "1" * 5_000, "()" * 40),
    ],
)
@pytest.mark.parametrize("country", [None, "FR", "DE", "US"])
def test_what_is_no_number_is_not_guessed_at(written: str, country: str | None) -> None:
    assert e164(written, country) is None


@pytest.mark.parametrize("written", ["06 39 98 13 20", "639981320", "2125550123", "13812345678"])
def test_without_a_country_a_national_number_is_not_used(written: str) -> None:
    assert e164(written) is None


def test_a_number_with_two_possible_readings_is_not_used() -> None:
    assert e164("66412345678", "AT") is None, "an Austrian number without its zero, or a Thai one without its plus"
    assert e164("066412345678", "AT") == "+4366412345678"
    assert e164("33612345678", "DE") == "+33612345678", "no German mobile number begins like this"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FR", "FR"),
        ("fr ", "FR"),
        ("UK", "GB"),
        ("EL", "GR"),
        ("France", None),
        ("FRA", None),
        ("XX", None),
        ("", None),
    ],
)
def test_countries_are_those_of_iso_3166(text: str, code: str | None) -> None:
    assert country_code(text) == code
    assert country_code(None) is None


@given(st.text(max_size=120), st.sampled_from([None, "FR", "DE", "US", "GB"]))
def test_whatever_is_written_is_a_number_or_nothing(text: str, country: str | None) -> None:
    number = e164(text, country)
    assert number is None or (number.startswith("+") and number[1:].isdecimal() and e164(number) == number)


def test_the_accounts_country_counts_more_than_the_default() -> None:
    vault = Vault(bytes(32), "FR")
    assert vault.read_phone("0639981320") == "+33639981320"
    assert vault.read_phone("07700 900123", "GB") == "+447700900123"
    assert vault.read_phone("0639981320", "nowhere") == "+33639981320"


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+33612345678", "FR"),
        ("+919812345678", "IN"),
        ("+8613812345678", "CN"),
        ("+14165550123", "CA"),
        ("+12025550123", "US"),
        ("+870773111632", None),  # a satellite's
    ],
)
def test_a_number_has_the_country_of_its_plan(number: str, country: str | None) -> None:
    assert country_of(number) == country


def test_the_country_of_every_example_number_of_every_region_is_that_of_the_library() -> None:
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    examples = {
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in kinds
        if (example := phonenumbers.example_number_for_type(region, kind)) is not None
    }
    assert len(examples) > 400
    for number in sorted(examples):
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        assert country_of(number) == country_code(region), number
    assert country_of("+870773111632") is None, "a satellite's"
