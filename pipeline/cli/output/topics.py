"""The topics of a Kafka cluster in a terminal."""

from collections.abc import Sequence

from rich.console import Console

from pipeline.consumers.cluster.kafka.topics import Difference, Outcome


def show_topics(console: Console, outcomes: Sequence[Outcome]) -> None:
    """A line per topic, and one for each thing that is not as it is set."""
    for outcome in outcomes:
        state = "created" if outcome.state == "created" else "was there"
        console.print(f"{outcome.topic}: {state}", highlight=False, markup=False, soft_wrap=True)
        for difference in outcome.differences:
            console.print(f"  {_sentence(difference)}", highlight=False, markup=False, soft_wrap=True)
    if any(outcome.differences for outcome in outcomes):
        console.print("What was there is left as it is.")


def _sentence(difference: Difference) -> str:
    text = f"{difference.name} is {difference.found}, set is {difference.wanted}"
    if difference.name == "partitions":
        text += ": other partitions would move keys, and break the order of their events"
    return text
