"""Static files: styles, scripts and the icon. Their address changes with their content, so browsers may cache them."""

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from pipeline.web.auth.access import OPEN
from pipeline.web.http.services import Services

PATH = "/static"
_FOLDER = Path(str(files("pipeline.web").joinpath("static")))
_YEAR = 365 * 24 * 3600  # seconds


def routes(_services: Services | None = None) -> list[Router]:
    """`GET /static/...` on both listeners, without sign-in: the files contain nothing secret."""
    cache = CacheControlHeader(max_age=_YEAR, private=True, immutable=True)
    return [create_static_files_router(path=PATH, directories=[_FOLDER], name="assets", cache_control=cache, opt=OPEN)]


@lru_cache
def asset(name: str) -> str:
    """The address of a static file, with the hash of its content."""
    return f"{PATH}/{name}?v={sha256((_FOLDER / name).read_bytes()).hexdigest()[:16]}"
