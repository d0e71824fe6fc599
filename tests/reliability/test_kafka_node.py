"""The broker of fault tests: acknowledged records survive, and it returns at the same address."""

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from deploy.kafka.native import Node, responds

pytestmark = [pytest.mark.slow, pytest.mark.reliability]


def test_a_killed_or_paused_node_returns_at_its_address_with_all_acknowledged_records(kafka_node: Node) -> None:
    bootstrap = kafka_node.bootstrap
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({"orders": {}}, wait_for_metadata=True)
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        sent = producer.send("orders", b"SO-1")
        producer.flush(30)
        assert sent.succeeded()

    kafka_node.kill()
    assert not responds(bootstrap)
    kafka_node.start()
    kafka_node.pause()
    assert not responds(bootstrap)
    kafka_node.resume()

    assert kafka_node.bootstrap == bootstrap
    with KafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        partition = TopicPartition("orders", 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        assert [record.value for record in consumer.poll(30_000)[partition]] == [b"SO-1"]
    kafka_node.stop()
    assert not responds(bootstrap)
