"""How many examples a property test with a database draws."""

from hypothesis import settings

_DEFAULT = 100  # examples of the profile that is repeatable


def examples(usual: int) -> int:
    """The number of examples: `usual`, and twenty times as many with HYPOTHESIS_PROFILE=explore."""
    return usual * max(1, settings().max_examples // _DEFAULT)
