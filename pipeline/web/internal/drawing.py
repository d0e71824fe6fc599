"""Drawings of Matplotlib as elements of a page: SVG without scripts, inline styles and ids. CSS sets the colours."""

import io
import re
from collections.abc import Callable, Iterable
from threading import Lock
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NAMES = frozenset(
    {"grid", "join", "range", "band", "claimed", "claimed-mark", "experienced", "experienced-mark", "opened", "tick"}
)
"""The classes that pages.css knows."""
_SVG = "http://www.w3.org/2000/svg"
_POINTS = 72  # per inch: with as many dots per inch, one unit of Matplotlib is one of the SVG
_ANCHOR = re.compile(r"text-anchor: *(\w+)")
_drawing = Lock()  # Matplotlib is not thread-safe


def svg(artists: "Iterable[Artist]", width: int, height: int, title: str, name: str = "strip") -> Markup:
    """These artists, positioned in units of the SVG, as an element of a page with the class `name`.

    `title`: the text alternative; "": the drawing only repeats what the page says. The `gid` of an artist becomes its
    class; artists without one of `NAMES` are left out.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.transforms import IdentityTransform

    with _drawing, rc_context({"svg.fonttype": "none", "path.simplify": False}):
        figure = Figure(figsize=(width / _POINTS, height / _POINTS), dpi=_POINTS)
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        for layer, artist in enumerate(artists):
            artist.set_transform(IdentityTransform())
            artist.set_zorder(layer)
            figure.add_artist(artist)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return _element(written.getvalue(), (width, height), title, name)


def png(draw: "Callable[[Axes], None]", inches: tuple[float, float], dpi: int) -> bytes:
    """What `draw` puts on the axes, as an image for an e-mail: mail programs show no SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _drawing:
        figure = Figure(figsize=inches, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        written = io.BytesIO()
        figure.savefig(written, format="png")
    return written.getvalue()


def _element(document: str, size: tuple[int, int], title: str, class_name: str) -> Markup:
    """The drawing as the content security policy allows it: classes instead of inline styles, no ids, nothing else."""
    drawn = ElementTree.fromstring(document)  # noqa: S314 - written by Matplotlib above
    svg = ElementTree.Element("svg", {"viewBox": f"0 0 {size[0]} {size[1]}", "class": class_name})
    if title:
        svg.attrib |= {"role": "img", "aria-label": title}
        ElementTree.SubElement(svg, "title").text = title
    else:
        svg.set("aria-hidden", "true")
    for group in drawn.iter(f"{{{_SVG}}}g"):
        name = group.get("id", "")
        if name not in NAMES:
            continue
        for shape in group.iter():
            tag = shape.tag.removeprefix(f"{{{_SVG}}}")
            if tag == "path":
                ElementTree.SubElement(svg, "path", {"class": name, "d": " ".join(shape.get("d", "").split())})
            elif tag == "text":
                anchor = _ANCHOR.search(shape.get("style", ""))
                attributes = {"x": shape.get("x", "0"), "y": shape.get("y", "0")}
                attributes |= {"class": name, "text-anchor": anchor[1] if anchor else "start"}
                ElementTree.SubElement(svg, "text", attributes).text = shape.text
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704 - escaped by ElementTree
