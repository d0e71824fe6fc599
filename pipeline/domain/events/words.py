"""Which fields of an event hold words that people wrote, and which the contract does not know: both are sealed.

Derived from the types of the contract, so that a new field with words is sealed without further steps.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, inspect

from pipeline.domain.events.contract import KINDS, WORDS, BadEvent

SEALED = "sealed"
"""The member of a stored object that holds the sealed members which the contract does not know."""


class Shape(NamedTuple):
    """The fields of an object in an event. `nested`: those that hold objects, or lists of objects, of a known shape."""

    known: frozenset[str]
    words: Mapping[str, int]  # the most characters of each, as it is received
    nested: Mapping[str, "Shape"]


def _shape(kind: inspect.StructType) -> Shape:
    known, words, nested = set[str](), dict[str, int](), dict[str, Shape]()
    for field in kind.fields:
        name = field.encode_name
        if isinstance(field.type, inspect.AnyType):
            continue  # it may hold anything, so it counts as unknown
        known.add(name)
        limit, inner = _limit(field.type), _inner(field.type)
        if limit is not None:
            words[name] = limit
        if inner is not None:
            nested[name] = inner
    return Shape(frozenset(known), words, nested)


def _limit(kind: inspect.Type) -> int | None:
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return extra[WORDS] if extra and WORDS in extra else _limit(inner)
        case inspect.UnionType(types=types):
            return next((limit for one in types if (limit := _limit(one)) is not None), None)
        case _:
            return None


def _inner(kind: inspect.Type) -> Shape | None:
    match kind:
        case inspect.Metadata(type=inner):
            return _inner(inner)
        case inspect.UnionType(types=types):
            return next((shape for one in types if (shape := _inner(one)) is not None), None)
        case inspect.ListType(item_type=item):
            return _inner(item)
        case inspect.StructType():
            return _shape(kind)
        case _:
            return None


def _shape_of(data: type[Struct]) -> Shape:
    found = inspect.type_info(data)
    if not isinstance(found, inspect.StructType):
        raise TypeError(f"{data.__name__} is no struct")
    return _shape(found)


_BY_DATA: Mapping[type[Struct], Shape] = {kind.data: _shape_of(kind.data) for kind in KINDS.values()}
SHAPES: Mapping[str, Shape] = {name: _BY_DATA[kind.data] for name, kind in KINDS.items()}
"""The shape of the data of each type of event."""

ATTRIBUTES = frozenset(
    {
        *("specversion", "id", "source", "type", "time", "data", "datacontenttype", "dataschema"),
        *("historic", "timeassumed", "foreigntype"),
        # Extensions of CloudEvents whose values are defined: tracing, partitioning, order within a source.
        *("traceparent", "tracestate", "partitionkey", "sequence", "sequencetype", "sampledrate"),
    }
)
"""The attributes of an event that hold no words. Others are sealed; of `subject` what repeats no id of the data."""


def check_lengths(data: Struct) -> None:
    """Raise BadEvent if a text of an event is longer than allowed. For events as received: sealed, texts are longer."""
    _check(data, _BY_DATA[type(data)], "data")


def _check(value: object, shape: Shape, path: str) -> None:
    for name, limit in shape.words.items():
        text = getattr(value, name)
        if isinstance(text, str) and len(text) > limit:
            raise BadEvent(f"Expected `str` of length <= {limit}", f"{path}.{name}")
    for name, inner in shape.nested.items():
        if not _has_words(inner):
            continue
        nested = getattr(value, name)
        for index, one in enumerate(nested if isinstance(nested, list) else ()):
            _check(one, inner, f"{path}.{name}[{index}]")
        if isinstance(nested, Struct):
            _check(nested, inner, f"{path}.{name}")


def _has_words(shape: Shape) -> bool:
    return bool(shape.words) or any(map(_has_words, shape.nested.values()))
