"""How the company appears on customers' pages: name, logo, colour, contact. Its colour is adjusted to be readable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from pipeline.settings import Settings
from pipeline.settings.company import LOGO_TYPES
from pipeline.web.auth.access import OPEN

LOGO_PATH, STYLESHEET_PATH = "/f/brand/logo", "/f/brand/colours.css"
CONTRAST = 4.5  # WCAG 2.2, criterion 1.4.3
_LIGHT_PAPER, _DARK_PAPER = "#f4f6f8", "#10161c"  # as in form.css
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_CACHED = {"cache-control": "private, max-age=31536000, immutable"}

_Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Brand:
    """What the pages show of the company. `stylesheet` and `logo` are addresses, None without a colour or a logo."""

    company: str
    stylesheet: str | None = None
    logo: str | None = None
    privacy_url: str | None = None
    phone: str | None = None
    email: str | None = None


def brand_of(settings: Settings) -> Brand:
    """The brand in these settings."""
    colour, logo = settings.company_colour, settings.company_logo
    return Brand(
        company=settings.company_name,
        stylesheet=None if colour is None else f"{STYLESHEET_PATH}?v={colour.lstrip('#')}",
        logo=None if logo is None else f"{LOGO_PATH}?v={sha256(logo.read_bytes()).hexdigest()[:16]}",
        privacy_url=settings.privacy_url,
        phone=settings.contact_phone,
        email=settings.contact_email,
    )


def routes(settings: Settings) -> list[HTTPRouteHandler]:
    """The logo and the style sheet of the colour, each if it is set."""
    made = []
    if settings.company_logo is not None:
        made.append(_file(LOGO_PATH, *_logo(settings.company_logo)))
    if settings.company_colour is not None:
        made.append(_file(STYLESHEET_PATH, colours(settings.company_colour).encode(), "text/css"))
    return made


def colours(colour: str) -> str:
    """The style sheet of a colour (#rrggbb): the accents of form.css, for light and for dark pages."""
    light, dark = readable(colour, _LIGHT_PAPER), readable(colour, _DARK_PAPER)
    return (
        f":root{{--accent:{light};--accent-soft:{_mixed(light, _LIGHT_PAPER)};--on-accent:{_ink_on(light)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--accent:{dark};--accent-soft:{_mixed(dark, _DARK_PAPER)};"
        f"--on-accent:{_ink_on(dark)}}}}}\n"
    )


def readable(colour: str, paper: str) -> str:
    """The colour, moved towards black or white until it can be read on `paper` (contrast 4.5 or more)."""
    start, back = _parsed(colour), _parsed(paper)
    end = _BLACK if _luminance(back) > 0.5 else _WHITE
    steps = (_between(start, end, n / 20) for n in range(21))
    # A soft shade of the accent lies below text in it, too, so a little more than the rule asks for.
    return _written(next((one for one in steps if contrast(one, back) >= CONTRAST + 1), end))


def contrast(one: Sequence[int], other: Sequence[int]) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _file(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, opt=OPEN, name=path, include_in_schema=False)
    async def show() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=_CACHED)

    return show


def _logo(path: Path) -> tuple[bytes, str]:
    return path.read_bytes(), LOGO_TYPES[path.suffix.lower()]


def _ink_on(colour: str) -> str:
    background = _parsed(colour)
    return _written(_WHITE if contrast(_WHITE, background) > contrast(_BLACK, background) else _BLACK)


def _mixed(colour: str, paper: str) -> str:
    return _written(_between(_parsed(paper), _parsed(colour), 0.1))


def _between(start: _Colour, end: _Colour, share: float) -> _Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue


def _luminance(colour: Sequence[int]) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = map(_linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _parsed(colour: str) -> _Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _written(colour: Iterable[int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
