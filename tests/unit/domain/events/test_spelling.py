"""One spelling of ids and dimension values, however systems and people write them."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.received import encode, read
from pipeline.domain.events.spelling import is_normal, look_alikes, normal
from tests.support.builders import cloud, completed, scanned

SAME = (
    "Orléans Sud",
    "Orléans Sud ",
    " Orléans  Sud",
    "Orléans\u00a0Sud",
    "Orle\u0301ans Sud",
    "Orlé\u200bans\u3000Sud",
    "\ufeffOrléans Sud",
    "Orlé\u00adans\tSud\u2060",
)


@pytest.mark.parametrize("text", SAME)
def test_the_same_name_has_one_spelling(text: str) -> None:
    assert normal(text) == "Orléans Sud"


@given(st.text())
@example("a\u0301\u200b\u0301")
@example("\u034f a")
def test_the_spelling_is_final_and_what_is_seen_stays(text: str) -> None:
    spelled = normal(text)
    assert normal(spelled) == spelled
    assert unicodedata.is_normalized("NFC", spelled)
    assert spelled == spelled.strip()
    assert normal(f"\u200b {text}\u00a0") == spelled


USUAL_AND_UNUSUAL = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from(' "\\ é\u0301e\u200b\u00a0\t\x7f\u0085'))
)


@given(st.lists(USUAL_AND_UNUSUAL, max_size=4))
@example(["Orléans Sud", " "])
@example(["e", "\u0301"])
def test_the_fast_check_overlooks_no_other_spelling(texts: list[str]) -> None:
    if is_normal(encode(texts)):
        assert [normal(text) for text in texts] == texts


@pytest.mark.parametrize("text", ["Lyon", "Saint-Étienne (Nord) 2", "深圳 南", "Łódź", "a 'b' c"])
def test_the_fast_check_accepts_usual_names(text: str) -> None:
    assert is_normal(encode({"depot": text, "note": "two words"}))


def test_names_that_look_alike_are_found() -> None:
    names = ["LYON", "Lyon", "Lyon\u00a0", "Nantes", "St. Malo", "St Malo", "-", "Straße", "STRASSE"]
    assert look_alikes(names) == [("LYON", "Lyon", "Lyon\u00a0"), ("St. Malo", "St Malo"), ("Straße", "STRASSE")]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_plain_names_stay_as_they_are(text: str) -> None:
    assert normal(text) is text


def written(suffix: str) -> dict[str, Any]:
    """An event of which every id and dimension has an invisible difference."""
    return {
        "order_id": f"SO-1{suffix}",
        "account": {"id": f"A-1{suffix}", "name": f"Atelier{suffix}"},
        "contacts": [{"id": f"ana{suffix}", "role": "receiver"}],
        "dimensions": {f"depot{suffix}": f"Lyon{suffix}", "carrier": f"Nordex{suffix}"},
        "lines": [{"sku": f"GLV-9{suffix}", "ordered": 1}],
    }


@pytest.mark.parametrize("suffix", [" ", "\u00a0", "\u200b", "\n"])
def test_every_id_and_dimension_of_an_event_is_spelled_in_one_way(suffix: str) -> None:
    plain, other = completed(**written("")), completed(**written(suffix))
    received = read(other)
    assert received.event.data.order_id == "SO-1"
    assert received.event.data.account.name == f"Atelier{suffix}", "a name is no id"
    assert received.event.data.dimensions == {"depot": "Lyon", "carrier": "Nordex"}
    assert received.event.data.contacts == read(plain).event.data.contacts
    assert received.event.data.lines == read(plain).event.data.lines
    assert read(received.raw).event == received.event, "what is stored is spelled so"
    assert read(received.raw).raw == received.raw


def test_ids_of_the_envelope_are_spelled_in_one_way() -> None:
    event = read(scanned(event_id="e 1\u00a0").replace(b'"erp"', b'" erp"')).event
    assert (event.id, event.source) == ("e 1", "erp")


def test_what_is_plain_is_stored_as_it_was_sent() -> None:
    for raw in (completed(), json.dumps(json.loads(completed(account={"id": "É"})), indent=2).encode()):
        assert read(raw).raw is raw


@pytest.mark.parametrize("blank", [" ", "\u200b", "\u00a0\ufeff"])
def test_an_id_of_nothing_visible_is_refused(blank: str) -> None:
    with pytest.raises(BadEvent) as refused:
        read(completed(order_id=blank))
    assert refused.value.field == "data.order_id"


def test_an_id_that_grows_too_long_is_refused() -> None:
    with pytest.raises(BadEvent) as refused:  # one character that NFC writes as three
        read(completed(account={"id": "\ufb2c" * 150}))
    assert refused.value.field == "data.account.id"


def test_two_dimensions_that_become_one_are_refused() -> None:
    with pytest.raises(BadEvent) as refused:
        read(completed(dimensions={"depot": "Lyon", "depot ": "Nantes"}))
    assert refused.value.field == "data.dimensions"


def test_our_own_events_keep_the_ids_that_are_stored() -> None:
    raw = cloud("feedback.received", "a ", read(completed()).event.time, {"order_id": "SO-1 ", "contact_id": "x "})
    received = read(raw.replace(b'"erp"', b'"unvarnished/form"'))
    assert (received.event.data.order_id, received.content) == ("SO-1 ", b"")
