"""The topics of a Kafka cluster."""

from typing import TYPE_CHECKING

import typer

from pipeline.cli.options import Format, Output, print_json

if TYPE_CHECKING:
    from pipeline.consumers.cluster.kafka.topics import TopicResult

app = typer.Typer(no_args_is_help=True, help="Create the topics of a Kafka cluster.")


@app.command("create")
def create_topics(output: Output = Format.TABLE) -> None:
    """Create missing topics and report how existing ones differ from the settings. Existing topics are not changed."""
    from rich.console import Console

    from pipeline.cli.output.topics import show_topics
    from pipeline.consumers.cluster.kafka.topics import create
    from pipeline.settings import Settings

    results = create(Settings())
    if output is Format.JSON:
        print_json([_result_json(result) for result in results])
    else:
        show_topics(Console(), results)


def _result_json(result: "TopicResult") -> dict[str, object]:
    return result._asdict() | {"differences": [difference._asdict() for difference in result.differences]}
