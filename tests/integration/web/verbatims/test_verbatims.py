"""The stream of words: everything, the newest first, by filters, bounded work for a page, and what is not there."""

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from pipeline.consumers import corrections
from pipeline.consumers.corrections import Wish
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.events.contract import Reading, Score
from pipeline.store.db.engine import reading
from pipeline.store.people import keys
from pipeline.store.reads.listing import verbatims
from pipeline.store.reads.listing.verbatims import Position, VerbatimFilter
from pipeline.store.schema.people import sealing_keys
from pipeline.store.users import users
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import VAULT, ingest

Site = tuple[TestClient[Any], EmbeddedRunner]

_WORDS = re.compile(r'<blockquote dir="auto">(.*?)</blockquote>')


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[Site]:
    for number in range(24):
        order_id, when, who = f"SO-{number}", at(hours=5 * number), f"c-{number}"
        people = [contact(who, phone=f"+4477009{number:05d}", language=("fr", "en", "fr-CA")[number % 3])]
        said: dict[str, Any] = {
            "arrival": "late" if number % 2 else "on_time",
            "score": {"value": (1, 8, 10)[number % 3]},
        }
        if number % 4 == 0:
            said |= {"condition": ["damaged"]}
        events = [
            completed(
                order_id,
                when,
                account={"id": f"A-{number % 5}"},
                contacts=people,
                dimensions={"depot": "Lyon" if number < 12 else "Nantes"},
            ),
            scanned(order_id, at(hours=5 * number + 0.5)),
            asked(order_id, at(hours=5 * number + 1), who),
        ]
        comment = f"Palette {number} crushed" if number != 7 else None
        events.append(answered(order_id, at(hours=5 * number + 2), who, comment=comment, **said))
        ingest(runtime, *events)
    add_user(runtime.engine, "mia")
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    with listener(app_of(runtime)) as made:
        yield made, runtime


def page(site: Site, address: str, name: str = "mia", status: int = 200) -> str:
    answer = site[0].get(address, headers=token_of(site[1].engine, name) | HTML)
    assert answer.status_code == status, answer.text
    return answer.text


def numbers(text: str) -> list[int]:
    return [int(words.split()[1]) for words in _WORDS.findall(text)]


def test_every_comment_is_there_the_newest_first(site: Site) -> None:
    assert numbers(page(site, "/verbatims")) == [n for n in range(23, -1, -1) if n != 7]


FILTERS: tuple[tuple[str, list[int]], ...] = (
    ("code=late", [n for n in range(24) if n % 2 and n != 7]),
    ("code=damaged", [n for n in range(24) if n % 4 == 0]),
    ("code=damaged&code=late", [n for n in range(24) if (n % 4 == 0 or n % 2) and n != 7]),
    ("score=unhappy", [n for n in range(24) if n % 3 == 0]),
    ("score=neutral", [n for n in range(24) if n % 3 == 1 and n != 7]),
    ("score=happy", [n for n in range(24) if n % 3 == 2]),
    ("score=unscored", []),
    ("language=fr", [n for n in range(24) if n % 3 != 1]),
    ("language=en", [n for n in range(24) if n % 3 == 1 and n != 7]),
    ("segment=depot%3ALyon", [n for n in range(12) if n != 7]),
    ("account=A-3", [3, 8, 13, 18, 23]),
    ("words=palet+17", [17]),
    ("words=CRUSHED&code=damaged&segment=depot:Nantes", [12, 16, 20]),
    ("from=2026-03-03&to=2026-03-04", [n for n in range(24) if 24 <= 11 + 5 * n < 72 and n != 7]),
)


def test_filters_find_exactly_those_words(site: Site) -> None:
    headers = token_of(site[1].engine, "mia")
    for query, expected in FILTERS:
        assert numbers(page(site, f"/verbatims?{query}"))[::-1] == expected, query
        found = site[0].get(f"/v1/verbatims?{query}", headers=headers).json()["verbatims"]
        assert [int(one["words"].split()[1]) for one in found][::-1] == expected, query


def test_a_corrected_answer_is_found_by_what_a_person_read(site: Site) -> None:
    """The words stay as they came."""
    before = numbers(page(site, "/verbatims"))
    with site[1].engine.begin() as connection:
        mia = users.get(connection, "mia").principal
        wish = Wish("SO-12", "c-12", Reading("not_received", None, [], Score(9)))
        assert corrections.propose(connection, site[1].store, mia, wish, "", at(days=9)).outcome == "counts"
    site[1].process_pending()
    assert numbers(page(site, "/verbatims?code=not_received")) == [12]
    assert 12 not in numbers(page(site, "/verbatims?code=damaged")), "what never came has no condition"
    assert 12 in numbers(page(site, "/verbatims?score=happy"))
    assert 12 not in numbers(page(site, "/verbatims?score=unhappy"))
    assert numbers(page(site, "/verbatims?words=palette+12&code=not_received")) == [12]
    assert numbers(page(site, "/verbatims")) == before


def test_pages_by_key_have_every_comment_once(site: Site) -> None:
    headers, found, after = token_of(site[1].engine, "mia"), list[str](), None
    while True:
        query = {"limit": 5} | ({} if after is None else {"after": after})
        answer = site[0].get("/v1/verbatims", params=query, headers=headers).json()
        found += [one["order_id"] for one in answer["verbatims"]]
        after = answer["next"]
        if after is None:
            break
    assert found == [f"SO-{n}" for n in range(23, -1, -1) if n != 7]


def test_a_page_looks_at_a_bounded_number_of_answers_and_the_next_goes_on(site: Site) -> None:
    wanted, found, after, pages = VerbatimFilter(segment=None, codes=("damaged",)), list[str](), None, 0
    with reading(site[1].engine) as connection:
        while True:
            one = verbatims.page(connection, LOCAL, VAULT, wanted, 10, after, most=3)
            found += [answer.order_id for answer in one.answers]
            pages, after = pages + 1, one.following
            if after is None:
                break
            assert not one.looked_at_all
            assert (after.source, after.event_id) == ("", ""), "it names no answer that others may not see"
    assert found == [f"SO-{n}" for n in range(20, -1, -4)]
    assert pages >= 7


def test_words_of_another_scope_are_absent_and_nobody_without_the_permission_reads(site: Site) -> None:
    assert numbers(page(site, "/verbatims", "rolf")) == [n for n in range(11, -1, -1) if n != 7]
    assert numbers(page(site, "/verbatims?words=palette", "rolf")) == [n for n in range(11, -1, -1) if n != 7]
    page(site, "/verbatims", "audit", 403)
    auditor = user_principal("audit", Role.AUDITOR, parse_scope(Role.AUDITOR, []))
    with reading(site[1].engine) as connection:
        assert verbatims.page(connection, auditor, VAULT, VerbatimFilter(), 9).answers == []


def test_erased_words_keep_their_line_and_are_explained(site: Site) -> None:
    with site[1].engine.begin() as connection:
        owner = keys.person("A-3", "c-23")
        connection.execute(sealing_keys.delete().where(sealing_keys.c.owner == owner.id))
        assert connection.execute(select(sealing_keys)).first() is not None
    shown = page(site, "/verbatims")
    assert numbers(shown)[0] == 22
    assert shown.count("The words were erased") == 1
    assert "What is not here" in shown


def test_words_by_the_code_on_a_delivery_note_are_marked_and_counted(site: Site) -> None:
    ingest(site[1], answered("SO-3", at(30), "(qr)", "scan", channel="qr", arrival="late", comment="Driver 99 says"))
    shown = page(site, "/verbatims")
    assert numbers(shown)[0] == 99
    assert "by the code</span>" in shown
    assert re.search(r"Answers by the code on delivery notes</dt><dd><span class=\"point\">1</span>", shown)


def test_a_wrong_parameter_is_named(site: Site) -> None:
    for query in (
        "code=lte",
        "score=sad",
        "segment=Lyon",
        "from=x",
        "from=2026-03-02&to=2026-03-01",
        "after=x",
        "words=%21",
    ):
        assert f"{query.split('=')[0]}: " in page(site, f"/verbatims?{query}", status=400)


def test_the_file_has_the_words_and_its_act_has_no_word(site: Site) -> None:
    answer = site[0].get("/export/verbatims?words=crushed&score=happy", headers=token_of(site[1].engine, "mia"))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["words"] for row in rows] == [f"Palette {n} crushed" for n in range(23, -1, -3)]
    acts = site[0].get("/acts?who=mia", headers=token_of(site[1].engine, "audit")).text
    assert "verbatims" in acts
    assert "crushed" not in acts


def test_hostile_words_are_shown_as_words(site: Site) -> None:
    ingest(site[1], answered("SO-5", at(31), "c-5", "hostile", comment=POLYGLOT, arrival="late"))
    assert POLYGLOT not in page(site, "/verbatims")
    assert POLYGLOT.strip()[:20] in unescape(page(site, "/verbatims"))


def test_a_position_may_hold_any_source_and_id() -> None:
    from pipeline.web.internal.verbatims.stream import parse_position, position_text

    for source, event_id in (("a,b%2C", "x,y"), ("", ""), ("erp", "%25")):
        position = Position(at(), source, event_id)
        assert parse_position(position_text(position)) == position
