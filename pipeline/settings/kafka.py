"""The Kafka cluster: brokers, credentials, topics."""

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from pipeline.settings.base import SettingsGroup

_CENTURY = 876_600  # hours; in milliseconds it still fits Kafka's 64-bit settings


class KafkaSettings(SettingsGroup):
    """Connection to the brokers and properties of new topics."""

    subject: ClassVar[str] = "Kafka (cluster mode)"

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        description="Kafka brokers to connect to first, as HOST:PORT,... Setting it selects cluster mode",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="protocol of the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL (most managed brokers)",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_user: str | None = Field(None, description="SASL user, or the API key of a managed broker")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password, or the secret of the API key")
    kafka_ca_file: FilePath | None = Field(
        None,
        description="file of CA certificates (PEM) that the brokers' certificates are verified with. Without it, "
        "those of the system",
    )
    kafka_topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=100,
        description="prefix of every topic name, so that several installations can share one Kafka cluster",
    )
    kafka_partitions: int = Field(12, ge=1, le=10_000, description="number of partitions of a new topic")
    kafka_replication: int | None = Field(
        None, ge=1, le=100, description="replication factor of a new topic. Without it, the broker's default"
    )
    kafka_input_retention_hours: float = Field(
        168, gt=0, le=_CENTURY, description="retention in hours of the topics orders and deliveries"
    )
    kafka_output_retention_hours: float = Field(
        720, gt=0, le=_CENTURY, description="retention in hours of the topics feedback, truth, alerts and cases"
    )
    kafka_dead_letter_retention_hours: float = Field(
        2_160, gt=0, le=_CENTURY, description="retention in hours of the topic dead-letters"
    )

    @property
    def uses_kafka(self) -> bool:
        """Whether brokers are set: then each role is a process of its own, and records move through Kafka."""
        return "kafka_bootstrap_servers" in self.model_fields_set

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _check_servers(cls, value: str) -> str:
        if not all(re.fullmatch(r"[^\s,]+:\d{1,5}", server) for server in value.split(",")):
            raise ValueError("must be HOST:PORT, several separated by commas")
        return value

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        given = (self.kafka_sasl_user is not None, self.kafka_sasl_password is not None)
        if given != (self.kafka_security_protocol.startswith("SASL"),) * 2:
            raise ValueError(
                "kafka_sasl_user and kafka_sasl_password must both be set if kafka_security_protocol is SASL_SSL or "
                "SASL_PLAINTEXT, and neither if it is not"
            )
        return self
