"""Variables with our prefix that are no settings: a misspelt one would silently change nothing."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

_CUTOFF = 0.86  # of difflib's ratio: a swapped, missing or added letter, or a plural
# Read by parts of the product that are no settings, or by the tools around it.
_OTHERS = frozenset({"FAILPOINT", "DB_PASSWORD", "SHARED", "PICTURES", "MATRIX", "REFERENCE"})


def misspelt(variables: Iterable[str], names: Collection[str], prefix: str) -> list[str]:
    """A sentence for each variable that is no setting but resembles one. Others are left alone: Kubernetes adds
    variables of its own that begin with the name of a service, and an earlier version meets settings of a later one.
    """
    known = {name.upper(): name for name in names}
    found = []
    for variable in sorted(variables):
        name = variable.upper().removeprefix(prefix)
        if name == variable.upper() or name in known or name in _OTHERS:
            continue
        close = get_close_matches(name, known, n=1, cutoff=_CUTOFF)
        if close:
            found.append(f"{variable} is not a setting; did you mean {prefix}{close[0]}?")
    return found
