"""How deep JSON may be nested, whatever its strings contain."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.domain.events.depth import MAX_DEPTH, check_depth, is_deeper, split_list
from tests.support.builders import completed
from tests.support.inputs.deep import LEVELS, nested

_text = st.text(alphabet='[]{}",:\\ aä\n')
_json = st.recursive(
    st.none() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=40,
)


def depth_of(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0) if isinstance(inner, list) else 0


@given(_json, st.booleans(), st.integers(0, 8))
def test_the_depth_is_that_of_the_parsed_value(value: object, ascii_only: bool, most: int) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert is_deeper(raw, most) == (depth_of(value) > most)


@given(st.lists(_json, max_size=5), st.sampled_from([None, 1]))
def test_a_list_is_split_as_a_parser_splits_it(items: list[object], indent: int | None) -> None:
    found = split_list(json.dumps(items, indent=indent).encode())
    assert [json.loads(item) for item in found if items] == items


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"[1]]", b"[1] 2", b'["', b"[1,[2]"])
def test_what_is_no_list_is_not_split(body: bytes) -> None:
    with pytest.raises(BadEvent, match="not a JSON array"):
        split_list(body)


@pytest.mark.parametrize("levels", LEVELS)
def test_an_event_nested_too_deep_is_refused_before_it_is_parsed(levels: int) -> None:
    for raw in (nested(completed(), levels), nested(completed(), levels, b'{"a":', b"}"), b"[" * levels):
        with pytest.raises(BadEvent, match="nested too deep: more than 100 levels"):
            decode(raw)


def test_an_event_at_the_limit_is_accepted() -> None:
    assert decode(nested(completed(), MAX_DEPTH - 2)).id == "SO-1:completed"
    with pytest.raises(BadEvent):
        decode(nested(completed(), MAX_DEPTH - 1))


def test_brackets_in_strings_do_not_count() -> None:
    check_depth(json.dumps({"note": "[" * 500, 'quoted "': '\\" [{' * 500}).encode())


@pytest.mark.parametrize("raw", [b"[" * (1 << 20), b'"' * (1 << 20), b'{"\\' * (1 << 18), b"[]" * (1 << 19)])
def test_hostile_input_is_checked_in_time(raw: bytes) -> None:
    started = time.perf_counter()
    is_deeper(raw, MAX_DEPTH)
    assert time.perf_counter() - started < 2
