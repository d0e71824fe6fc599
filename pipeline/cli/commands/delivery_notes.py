"""What is printed on delivery notes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


class CodeFormat(StrEnum):
    """What is printed: a picture, the code in the terminal, or the link in it."""

    SVG = "svg"
    PNG = "png"
    LINK = "link"


@app.command("qr")
def qr_command(
    order: Annotated[str, typer.Argument(help="The order's id, as in order.completed. It need not be known yet.")],
    file_format: Annotated[CodeFormat, typer.Option("--format", help="svg or png, or only the link.")] = CodeFormat.SVG,
    output: Annotated[Path | None, typer.Option(help="File to write. Without it, standard output.")] = None,
) -> None:
    """Make the QR code for an order's delivery note. Whoever receives the goods opens the form with it."""
    from pipeline.app.maintenance import qr_link
    from pipeline.notifiers import qr_code
    from pipeline.settings import Settings

    link = qr_link(Settings(), order)
    if file_format is CodeFormat.LINK:
        content = f"{link}\n".encode()
    else:
        content = qr_code.picture(link, "png" if file_format is CodeFormat.PNG else "svg")
    if output is None:
        typer.get_binary_stream("stdout").write(content)
    else:
        output.write_bytes(content)
