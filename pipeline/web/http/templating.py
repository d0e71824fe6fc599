"""Jinja environments for the pages of both listeners."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from pipeline.notifiers.wording.languages import translations
from pipeline.web.http.assets import asset


def environment(
    *packages: str, filters: Mapping[str, Callable[..., Any]] | None = None, language: str | None = None
) -> Environment:
    """An environment that reads the `templates` folders of `packages`, the first match wins.

    Values are escaped, an undefined name is an error, and `asset(name)` is the address of a static file. `filters` are
    added to Jinja's own. With a `language`, templates translate their texts (`_()` and `{% trans %}`).
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"] if language is not None else [],
    )
    made.globals["asset"] = asset
    made.filters |= filters or {}
    if language is not None:
        made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return made
