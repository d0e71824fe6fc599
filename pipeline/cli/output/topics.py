"""The result of creating the topics of a Kafka cluster."""

from collections.abc import Sequence

from rich.console import Console

from pipeline.consumers.cluster.kafka.topics import Difference, TopicResult


def show_topics(console: Console, results: Sequence[TopicResult]) -> None:
    """Print a line per topic, and one for each property that differs from the settings."""
    for result in results:
        state = "created" if result.state == "created" else "exists"
        console.print(f"{result.topic}: {state}", highlight=False, markup=False, soft_wrap=True)
        for difference in result.differences:
            console.print(f"  {_sentence(difference)}", highlight=False, markup=False, soft_wrap=True)
    if any(result.differences for result in results):
        console.print("Existing topics were not changed.")


def _sentence(difference: Difference) -> str:
    text = f"{difference.name} is {difference.found}, the settings say {difference.wanted}"
    if difference.name == "partitions":
        text += ". Changing it would move keys to other partitions and break the order of their events"
    return text
