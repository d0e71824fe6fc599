"""The report as an e-mail: text, and HTML with the chart as an image. It says what the page says to the same reader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.figures import ENOUGH_PAIRS
from pipeline.domain.reports.periods.trends import Point
from pipeline.domain.setup import Setup
from pipeline.notifiers.smtp import Image
from pipeline.notifiers.wording import sentences
from pipeline.web.internal.drawing import png
from pipeline.web.internal.layout import page_environment
from pipeline.web.internal.report import contents, pages
from pipeline.web.internal.report.contents import Report
from pipeline.web.internal.segments.charts import week_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHART = "weeks"  # the name of the image
_SIZE, _DPI = (6.4, 2.4), 120  # inches
_environment = page_environment("pipeline.web.internal.report")
_environment.globals |= contents.GLOBALS
_environment.filters |= contents.FILTERS


class Rendered(NamedTuple):
    """An e-mail without sender and recipient."""

    subject: str
    text: str
    html: str
    images: tuple[Image, ...]


def rendered(report: Report, viewer: Principal, setup: Setup, url: str | None) -> Rendered:
    """The report for that reader. `url`: of the internal listener, for the link to the page; None: no link."""
    chart = () if report.trend is None else (Image(_CHART, _chart(report.points)),)
    values = {
        "report": report,
        "viewer": viewer,
        "link": None if url is None else url.rstrip("/") + pages.address(report.period, report.level, setup),
        "chart": _CHART if chart else "",
    }
    subject = f"Report, {report.period.unit} from {sentences.day(report.period.first)}"
    text = _environment.get_template("report_mail.txt.j2").render(values)
    return Rendered(subject, text, _environment.get_template("report_mail.html.j2").render(values), chart)


def _chart(points: Sequence[Point]) -> bytes:
    """Readable in black and white: claimed is dashed with squares, experienced solid with dots in its band."""
    places = range(len(points))
    shown = [
        point.compared.experienced if point.compared and point.compared.experienced.n >= ENOUGH_PAIRS else None
        for point in points
    ]
    nan = float("nan")

    def _draw(axes: "Axes") -> None:
        claimed = [nan if point.claimed is None else 100 * point.claimed for point in points]
        axes.fill_between(
            places,
            [nan if one is None else 100 * one.low for one in shown],
            [nan if one is None else 100 * one.high for one in shown],
            color="#cfe3ea",
        )
        axes.plot(places, claimed, "s--", color="#9a5b07", markersize=4, label="claimed on time")
        experienced = [nan if one is None else 100 * one.value for one in shown]
        axes.plot(places, experienced, "o-", color="#0b5c75", markersize=4, label="experienced on time")
        axes.set_xticks(list(places)[::2], [week_label(point.day) for point in points][::2], fontsize=8)
        axes.set_ylabel("%", fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
        axes.set_ylim(top=100.5)
        axes.grid(axis="y", color="#dddddd")
        axes.legend(loc="lower left", frameon=False, fontsize=8)

    return png(_draw, _SIZE, _DPI)
