"""One spelling of ids and dimension values: systems and people write the same one with other spaces and accents."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import inspect

from pipeline.domain.events.contract import KINDS, SPELLED, BadEvent, Envelope

# What has no width: controls that are no space, and the characters that Unicode calls default ignorable (zero-width
# spaces and joiners, soft hyphens, directional marks, variation selectors, byte order marks).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
# In compact JSON: a space at either end of a string or next to another one; what else `normal` may change.
_SPACES = re.compile(rb' (?:[ "]|(?<=" ))')
_UNUSUAL = re.compile(rf"""{_INVISIBLE.pattern}|[^\S ]|\\""")
_Fix = Callable[[Any, Any], bool]  # (container, key): whether it changed what the container has there


def normal(text: str) -> str:
    """The one spelling of an id: composed (NFC), trimmed, runs of spaces as one space, nothing without a width."""
    if text.isascii() and text.isprintable():
        plain = "  " not in text and text[:1] != " " and text[-1:] != " "
        return text if plain else " ".join(text.split())
    return unicodedata.normalize("NFC", " ".join(_INVISIBLE.sub("", text).split()))


def is_normal(compact: bytes) -> bool:
    """Whether every string in this JSON surely has its one spelling. Faster than `respell`, which decides the rest.

    `compact`: JSON without spaces around its values, so that every space is in a string.
    """
    if _SPACES.search(compact) is not None:
        return False
    if compact.isascii():
        return b"\\" not in compact and b"\x7f" not in compact
    text = compact.decode()
    return unicodedata.is_normalized("NFC", text) and _UNUSUAL.search(text) is None


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names that differ only by case, spaces or punctuation, in groups of two or more."""
    groups: dict[str, list[str]] = {}
    for name in names:
        bare = "".join(filter(str.isalnum, normal(name).casefold()))
        groups.setdefault(bare or name, []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def respell(envelope: dict[str, Any]) -> bool:
    """Give the ids, names and values of dimensions in a parsed event their one spelling. Whether any had another.

    Raises BadEvent if two dimensions have the same name then.
    """
    changed = _fix_envelope([envelope], 0)
    kind = envelope.get("type")
    fix = _FIXES.get(kind) if isinstance(kind, str) else None
    return (fix is not None and "data" in envelope and fix(envelope, "data")) or changed


def _fix_text(container: Any, key: Any) -> bool:
    text = container[key]
    if not isinstance(text, str) or (spelled := normal(text)) == text:
        return False
    container[key] = spelled
    return True


def _fixes(kind: inspect.Type, field: str = "data") -> _Fix | None:
    """What respells a value of this type; None: it contains no ids."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return _fix_text if extra == SPELLED else _fixes(inner, field)
        case inspect.UnionType(types=types):
            return next(filter(None, (_fixes(one, field) for one in types)), None)
        case inspect.StructType(fields=fields):
            found = [(each.encode_name, _fixes(each.type, f"{field}.{each.encode_name}")) for each in fields]
            return _struct([(name, fix) for name, fix in found if fix is not None])
        case inspect.ListType(item_type=item):
            fix = _fixes(item, f"{field}[...]")
            return None if fix is None else _list(fix)
        case inspect.DictType(key_type=key, value_type=value):
            return _dict(field, _fixes(value, field)) if _fixes(key, field) is not None else None
        case _:
            return None


def _struct(fields: list[tuple[str, _Fix]]) -> _Fix | None:
    def _fix(container: Any, key: Any) -> bool:
        value = container[key]
        return isinstance(value, dict) and True in [fix(value, name) for name, fix in fields if name in value]

    return _fix if fields else None


def _list(fix_item: _Fix) -> _Fix:
    def _fix(container: Any, key: Any) -> bool:
        value = container[key]
        return isinstance(value, list) and True in [fix_item(value, index) for index in range(len(value))]

    return _fix


def _dict(field: str, fix_value: _Fix | None) -> _Fix:
    def _fix(container: Any, key: Any) -> bool:
        value = container[key]
        if not isinstance(value, dict):
            return False
        changed = fix_value is not None and True in [fix_value(value, name) for name in value]
        spelled = {normal(name): each for name, each in value.items()}
        if len(spelled) != len(value):
            raise BadEvent("two of the names differ only by spaces, accents or invisible characters", field)
        container[key] = spelled
        return changed or spelled.keys() != value.keys()

    return _fix


def _nothing(_container: Any, _key: Any) -> bool:
    return False


_fix_envelope: _Fix = _fixes(inspect.type_info(Envelope), "") or _nothing
_FIXES: Mapping[str, _Fix] = {
    name: _fixes(inspect.type_info(kind.data)) or _nothing for name, kind in KINDS.items() if kind.topic != "truth"
}
