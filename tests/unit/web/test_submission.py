"""The id of a submission's event: with another id, a submission that is repeated after an upgrade would count twice."""

import msgspec
import pytest

from pipeline.web.public.form.links import Link
from pipeline.web.public.form.submission import event_of, statement_of, validate
from tests.support.builders import at

LINK = Link("O-1", "c-1", "delivered", "a" * 64, None, None, None)


@pytest.mark.parametrize(
    ("fields", "event_id"),  # ids that the first version computed
    [
        (
            [
                ("arrival", "late"),
                ("goods", "damaged"),
                ("goods", "incomplete"),
                ("score", "7"),
                ("comment", "L’un est “cassé”\r\net 'bleu'"),
            ],
            "305d1cd8b68a016d1aadf673a6ec3fc7",
        ),
        ([("arrival", "not_received")], "45443f6709adc246415c375fee581eea"),
    ],
)
def test_a_submission_keeps_its_id_across_versions(fields: list[tuple[str, str]], event_id: str) -> None:
    submission = validate(fields, str)
    submitted = event_of(LINK, "QmFzZTY0", submission, statement_of(submission, None), at())
    assert msgspec.json.decode(submitted.event.raw)["id"] == event_id
