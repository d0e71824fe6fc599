"""Stylesheet and script: files of our own, under a name that changes with their content, so that they may be kept."""

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from pipeline.web.http.services import Services

PATH = "/static"
_FOLDER = Path(str(files("pipeline.web").joinpath("static")))
OPEN = {"open": True}  # as `access` understands it
_YEAR = 365 * 24 * 3600  # seconds


def routes(_services: Services | None = None) -> list[Router]:
    """The handler of everything in `static/`, for both listeners: nothing in it is secret, nobody has to sign in."""
    cache = CacheControlHeader(max_age=_YEAR, private=True, immutable=True)
    return [create_static_files_router(path=PATH, directories=[_FOLDER], name="assets", cache_control=cache, opt=OPEN)]


@lru_cache
def asset(name: str) -> str:
    """The address of one of our files: other content, another address."""
    return f"{PATH}/{name}?v={sha256((_FOLDER / name).read_bytes()).hexdigest()[:16]}"
