"""Events nested too deep: a dead letter wherever they come from, and what follows them is processed."""

import json
from base64 import b64encode

import pytest

from pipeline.consumers.cluster.kafka.events import KafkaRecord
from pipeline.consumers.cluster.kafka.events import incoming as from_kafka
from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime import dead_letter_retry
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.events.contract import BadEvent
from pipeline.store.schema.journal import dead_letters
from pipeline.store.schema.orders import orders
from tests.support.builders import at, completed, scanned
from tests.support.inputs.deep import LEVELS, nested
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def shapes(levels: int) -> list[bytes]:
    """An order nested too deep, in every form in which an event can carry its data."""
    deep = nested(completed(), levels)
    envelope = json.loads(completed())
    data = deep[deep.index(b'"data":') + len('"data":') : -1]
    del envelope["data"]
    return [
        deep,
        nested(completed(), levels, b'{"a":', b"}"),
        nested(scanned(), levels),
        json.dumps(envelope | {"data": data.decode()}).encode(),
        json.dumps(envelope | {"data_base64": b64encode(data).decode()}).encode(),
        completed()[:-1] + b',"extension":' + b"[" * levels + b"]" * levels + b"}",
    ]


@pytest.mark.parametrize("levels", LEVELS)
def test_an_event_nested_too_deep_is_a_dead_letter_and_the_next_is_processed(
    runtime: EmbeddedRunner, levels: int
) -> None:
    broken = [Incoming(raw, None, f"history:{n}", None, at()) for n, raw in enumerate(shapes(levels))]
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"erp"), ("ce_type", b"order.completed")]
    broken.append(from_kafka(KafkaRecord("orders", 0, 1, shapes(levels)[0], ()), received_at=at()))
    broken.append(from_kafka(KafkaRecord("orders", 0, 2, b"[" * levels, headers), received_at=at()))
    (result,) = runtime.ingest_all(broken)
    assert result.dead == len(broken)
    assert all("nested too deep" in letter["reason"] for letter in rows(runtime, dead_letters))
    ingest(runtime, completed("SO-2"), scanned("SO-2", time=at(hours=2)))
    assert [row["order_id"] for row in rows(runtime, orders)] == ["SO-2"]


def test_reprocessing_keeps_what_is_nested_too_deep(runtime: EmbeddedRunner) -> None:
    fault = BadEvent("refused by an earlier version")
    runtime.ingest([Incoming(raw, None, f"test:{n}", fault, at()) for n, raw in enumerate(shapes(1_100))])
    assert dead_letter_retry.retry(runtime.store, runtime, lambda: at()).dead == len(shapes(1_100))
    assert len(rows(runtime, dead_letters)) == len(shapes(1_100))
