"""Events through a real broker: an event is read as it was written, in both modes of CloudEvents."""

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from pipeline.consumers.cluster.kafka.events import KafkaRecord, incoming, outgoing
from pipeline.domain.events.decoding import decode
from tests.support.builders import completed


def test_an_event_survives_a_broker_unchanged_in_both_modes(kafka_bootstrap: str, topic_prefix: str) -> None:
    event = msgspec.json.decode(completed("SO-Ä"))
    data = msgspec.json.encode(event.pop("data"))
    headers = [("content-type", b"application/json"), *((f"ce_{name}", text.encode()) for name, text in event.items())]
    sent = outgoing("order.completed", completed("SO-Ä").decode(), topic_prefix)
    with KafkaAdminClient(bootstrap_servers=kafka_bootstrap) as admin:
        admin.create_topics({sent.topic: {"num_partitions": 1}}, wait_for_metadata=True)
    with KafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        producer.send(sent.topic, sent.value, sent.key, list(sent.headers))
        producer.send(sent.topic, data, sent.key, headers)
        producer.flush(30)

    with KafkaConsumer(bootstrap_servers=kafka_bootstrap, consumer_timeout_ms=30_000) as consumer:
        partition = TopicPartition(sent.topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        read = [next(consumer) for _ in range(2)]

    found = [incoming(KafkaRecord(r.topic, r.partition, r.offset, r.value, r.headers), topic_prefix) for r in read]
    assert [decode(each.raw, each.topic) for each in found] == [decode(completed("SO-Ä"))] * 2
    assert [each.position for each in found] == [f"kafka:{sent.topic}:0:0", f"kafka:{sent.topic}:0:1"]
