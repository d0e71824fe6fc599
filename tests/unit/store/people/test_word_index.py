"""Words are found however they are written, and the short ways to fold and escape a text give what the long ones do."""

import unicodedata
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.access.scopes import ACCOUNT
from pipeline.store.orders.memberships import membership_of
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.people.word_index import digests_of, fold

VAULT = Vault(bytes(KEY_BYTES))
TEXTS = st.text(max_size=60) | st.text(st.characters(max_codepoint=0x17F), max_size=60)


@given(TEXTS)
def test_folding_removes_case_and_accents_only(text: str) -> None:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    assert fold(text) == "".join(char for char in plain if not unicodedata.combining(char))


def test_a_text_is_found_however_it_is_written() -> None:
    assert digests_of(VAULT, "Übergabe ZU spät") == digests_of(VAULT, "ubergabe zu spat")
    assert digests_of(VAULT, "spät") != digests_of(Vault(bytes([1]) * KEY_BYTES), "spät"), "by the key of the database"
    assert digests_of(VAULT, "spät") != digests_of(VAULT, "spar")


@given(TEXTS, st.dictionaries(st.text(min_size=1, max_size=20), TEXTS, max_size=3))
def test_entries_of_scopes_are_escaped_as_in_an_address(account: str, dimensions: dict[str, str]) -> None:
    named = [(ACCOUNT, account), *sorted((name, value) for name, value in dimensions.items() if name != ACCOUNT)]
    escaped = "".join(f" {quote(name, safe='')}={quote(value, safe='')}" for name, value in named)
    assert membership_of(account, dimensions) == f"{escaped} "
