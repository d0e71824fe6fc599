"""Every setting, read from `UNVARNISHED_*` variables."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal, get_args

from platformdirs import user_data_path
from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from, parse_hours
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.contract import MAX_EVENT_BYTES, BadEvent, Role
from pipeline.domain.events.times import zone

DEFAULT_LEVELS = "region:20,depot:50,carrier:20"
_KEY_FILE = "master.key"
_Fraction = Annotated[float, Field(ge=0, le=1)]
_CENTURY = 876_600  # hours; as milliseconds it still is a number for Kafka
_Port = Annotated[int, Field(ge=0, le=65_535)]


class Unusable(ValueError):
    """What was set or asked for cannot be used: a sentence for whoever did."""


class Settings(BaseSettings):
    """What this installation is told. Durations are in the unit their name ends with."""

    model_config = SettingsConfigDict(env_prefix="UNVARNISHED_", extra="ignore", frozen=True)

    database_url: SecretStr | None = Field(None, description="SQLAlchemy URL; without it a SQLite file in data_dir")
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("unvarnished"),
        description="where the file and the key are kept",
    )
    master_key: SecretStr | None = Field(
        None,
        description="32 bytes in hexadecimal that personal data is sealed with; without it a file in data_dir",
    )
    levels: str | None = Field(
        None, description=f"segments to watch, DIMENSION:CAPACITY,...; by default {DEFAULT_LEVELS}"
    )
    alerts_a_year: float = Field(1.0, gt=0, description="false divergence alerts a year the fleet can bear, per signal")
    batch: int = Field(5_000, ge=1, le=20_000, description="events a transaction")
    ask_roles: Annotated[frozenset[Role], NoDecode] = Field(
        frozenset({"receiver", "user", "purchaser"}), description="roles that are asked, separated by commas"
    )
    contact_rest_days: float = Field(7, ge=0, description="days between two questions to one contact")
    account_cap: int = Field(10, ge=1, description="questions to one account in account_period_days")
    account_period_days: float = Field(7, gt=0, description="the period of account_cap")
    sample_rate: _Fraction = Field(1.0, description="share of contacts that are asked")
    probe_after_hours: float = Field(
        24, ge=0, description="hours after the first promise until a missing scan is asked about"
    )
    answer_within_days: float = Field(14, gt=0, description="days until a question expires")
    ask_after_minutes: float = Field(0, ge=0, description="minutes from a delivery to the question about it")
    send_within_hours: float = Field(48, gt=0, description="hours until a question that could not be sent is given up")
    remind_after_hours: float = Field(
        48, ge=0, description="hours from a question to its only reminder; 0: there is no reminder"
    )
    quiet_hours: str = Field(
        "20:00-08:00", description="local time of the recipient in which nothing is sent; 00:00-00:00: none"
    )
    zones: Annotated[frozenset[str], NoDecode] = Field(
        frozenset({"UTC"}),
        description="IANA time zones your customers live in, separated by commas: where a person's zone and the "
        "order's are unknown, a question waits until it is quiet in none of them",
    )
    company_name: str = Field("Your supplier", min_length=1, max_length=30, description="who asks, as messages say it")
    notifier: str = Field("phone", description="how questions go out: twilio_sms, phone (the demo's), console")
    twilio_account_sid: str | None = Field(None, description="Twilio: AC..., of the account that sends")
    twilio_auth_token: SecretStr | None = Field(None, description="Twilio: signs what Twilio sends to us")
    twilio_api_key: str | None = Field(None, description="Twilio: SK..., to send with instead of the auth token")
    twilio_api_secret: SecretStr | None = Field(None, description="Twilio: the secret of twilio_api_key")
    twilio_messaging_service: str | None = Field(None, description="Twilio: MG..., the service to send through")
    twilio_from: str | None = Field(None, description="Twilio: the number to send from, if there is no service")
    twilio_url: str = Field("https://api.twilio.com", description="Twilio: the API; another one for tests")
    inbound_poll_minutes: float = Field(
        5, gt=0, le=120, description="minutes between two looks for texts to us that the provider's webhook lost"
    )
    provider_seconds: float = Field(
        10, gt=0, le=25, description="seconds for the provider's whole answer; later the outcome is unknown"
    )
    dispatcher_width: int = Field(64, ge=1, le=256, description="messages a dispatcher has in flight at most")

    public_host: str = Field("0.0.0.0", description="address of the public listener: events, forms, webhooks")  # noqa: S104
    public_port: _Port = Field(8080, description="its port; 0: any free one")
    public_url: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known.get('public_port', 8080)}",
        description="where the world reaches the public listener, as in https://ask.example.com: it stands in each link"
        " that is sent and in every signature that is checked; by default this machine only",
    )
    internal_host: str = Field(
        "127.0.0.1", description="address of the internal listener: dashboard, read API, metrics, health"
    )
    internal_port: _Port = Field(8081, description="its port; 0: any free one")
    sign_in_token: SecretStr | None = Field(
        None,
        min_length=20,
        description="what opens the internal listener; without it a new one is made and printed at every start",
    )
    events_a_request: int = Field(500, ge=1, le=5_000, description="events in one batch by HTTP")
    event_bytes: int = Field(MAX_EVENT_BYTES, ge=1_024, le=MAX_EVENT_BYTES, description="bytes of one event by HTTP")
    events_body_bytes: int = Field(8 << 20, ge=1_024, description="bytes of a request with events")
    body_bytes: int = Field(64 << 10, ge=1_024, description="bytes of any other request")
    waiting_events: int = Field(
        20_000, ge=1, description="events accepted and not yet written, above which more are refused for a while (503)"
    )
    waiting_bytes: int = Field(64 << 20, ge=1_024, description="their bytes")
    spool_bytes: int = Field(
        64 << 20,
        ge=4_096,
        description="bytes of disk, in data_dir, for the provider's calls that come while the database is away",
    )
    wrong_keys_a_minute: int = Field(30, ge=1, description="wrong API keys from one address, before it has to wait")
    wrong_links_a_minute: int = Field(
        30, ge=1, description="links that never were, opened from one address, before it has to wait"
    )
    connections: int = Field(500, ge=10, description="open connections a listener; beyond them the newest is cut")
    header_seconds: float = Field(10, gt=0, description="seconds for the head of a request to arrive")
    body_seconds: float = Field(30, gt=0, description="seconds for a request's body to arrive")
    write_seconds: float = Field(20, gt=0, description="seconds without progress in taking an answer")
    answer_seconds: float = Field(30, gt=0, description="seconds to wait until events are durable, then 503")
    stop_seconds: int = Field(15, ge=1, description="seconds for open requests to finish when told to stop")

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka: brokers to ask first, HOST:PORT,...")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as managed brokers mostly want"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="Kafka: how the user signs in with SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_user: str | None = Field(None, description="Kafka: the user, or the API key of a managed broker")
    kafka_sasl_password: SecretStr | None = Field(None, description="Kafka: the user's password")
    kafka_ca_file: FilePath | None = Field(
        None, description="Kafka: certificates (PEM) that the brokers' are signed with; by default those of the system"
    )
    kafka_topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=100,
        description="Kafka: what stands before the name of each topic, for several installations on one cluster",
    )
    kafka_partitions: int = Field(12, ge=1, le=10_000, description="Kafka: partitions of a new topic")
    kafka_replication: int | None = Field(
        None, ge=1, le=100, description="Kafka: copies of each partition of a new topic; by default the broker decides"
    )
    kafka_received_hours: float = Field(
        168, gt=0, le=_CENTURY, description="Kafka: hours that orders and deliveries stay on their topics"
    )
    kafka_told_hours: float = Field(
        720, gt=0, le=_CENTURY, description="Kafka: hours that feedback, truth and alerts stay"
    )
    kafka_dead_letter_hours: float = Field(2_160, gt=0, le=_CENTURY, description="Kafka: hours that dead letters stay")

    kafka_batch: int = Field(500, ge=1, le=10_000, description="Kafka: records a worker takes at once at most")
    dead_letters_a_minute: int = Field(
        100,
        ge=0,
        description="Kafka: poison among a minute's records above which a worker stops, if it is also more than",
    )
    dead_letter_share: _Fraction = Field(0.2, description="Kafka: this share of them")
    stall_seconds: float = Field(
        60, ge=4, description="Kafka: seconds of lag without progress after which a worker ends, to be started anew"
    )
    worker_port: _Port = Field(8082, description="Kafka: port of a worker's health and metrics; 0: any free one")
    dispatcher_port: _Port = Field(8083, description="Kafka: the same of a dispatcher")
    log_level: Literal["debug", "info", "warning"] = Field(
        "info",
        description="what the cluster's processes log: debug, info or warning; debug follows each event by its id",
    )
    relay_port: _Port = Field(8084, description="Kafka: the same of a relay")

    @field_validator("levels")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            parse_levels(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _whole(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("has to start with https:// (or http://, on one's own machine)")
        return value.rstrip("/")

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        parse_hours(value)
        return value

    @field_validator("zones", mode="before")
    @classmethod
    def _known_zones(cls, value: object) -> object:
        names = frozenset(item.strip() for item in value.split(",")) if isinstance(value, str) else value
        for name in names if isinstance(names, frozenset) else ():
            try:
                zone(name)
            except BadEvent as bad:
                raise ValueError(bad.reason) from None
        return names

    @model_validator(mode="after")
    def _some_hour_is_open(self) -> "Settings":
        if open_from(datetime.now(UTC), self.zones, self.policy) is None:
            raise ValueError("quiet_hours and zones leave no hour of the day in which anybody could be asked")
        return self

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _hosts_and_ports(cls, value: str) -> str:
        if not all(re.fullmatch(r"[^\s,]+:\d{1,5}", server) for server in value.split(",")):
            raise ValueError("has to be HOST:PORT, several separated by commas")
        return value

    @model_validator(mode="after")
    def _user_and_password(self) -> "Settings":
        given = (self.kafka_sasl_user is not None, self.kafka_sasl_password is not None)
        if given != (self.kafka_security_protocol.startswith("SASL"),) * 2:
            raise ValueError(
                "kafka_sasl_user and kafka_sasl_password belong to a kafka_security_protocol of SASL_SSL or "
                "SASL_PLAINTEXT, which needs both"
            )
        return self

    @field_validator("ask_roles", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        roles = frozenset(filter(None, (item.strip() for item in value.split(","))))
        unknown = roles - set(get_args(Role))
        if unknown:
            raise ValueError(f"unknown roles {sorted(unknown)}; known are {', '.join(get_args(Role))}")
        return roles

    def otherwise(self, **defaults: object) -> "Settings":
        """The same with other defaults, for what nobody has set."""
        return self.model_copy(
            update={name: value for name, value in defaults.items() if name not in self.model_fields_set}
        )

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL, password included: never to be printed."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'unvarnished.db'}"

    @property
    def key_file(self) -> Path:
        """Where the master key is kept if none was given."""
        return self.data_dir / _KEY_FILE

    @property
    def clustered(self) -> bool:
        """Whether a broker was named: then the roles are processes of their own, and records move through Kafka."""
        return "kafka_bootstrap_servers" in self.model_fields_set

    @property
    def policy(self) -> Policy:
        """How much a customer may be asked."""
        quiet_from, quiet_until = parse_hours(self.quiet_hours)
        return Policy(
            roles=self.ask_roles,
            contact_rest=timedelta(days=self.contact_rest_days),
            account_cap=self.account_cap,
            account_period=timedelta(days=self.account_period_days),
            sample_rate=self.sample_rate,
            probe_after=timedelta(hours=self.probe_after_hours),
            answer_within=timedelta(days=self.answer_within_days),
            ask_after=timedelta(minutes=self.ask_after_minutes),
            send_within=timedelta(hours=self.send_within_hours),
            remind_after=timedelta(hours=self.remind_after_hours) if self.remind_after_hours else None,
            quiet_from=quiet_from,
            quiet_until=quiet_until,
            zones=self.zones,
        )

    def master(self) -> bytes:
        """The master key, made and kept in a file that only its owner can read if none was given.

        Raises Unusable if what is given is none, or the file can be neither read nor made.
        """
        if self.master_key is not None:
            return _key(self.master_key.get_secret_value(), "UNVARNISHED_MASTER_KEY")
        with files_of_ours():
            if not self.key_file.exists():
                _make_key(self.key_file)
            text = self.key_file.read_text()
        return _key(text, str(self.key_file))


@contextmanager
def files_of_ours() -> Iterator[None]:
    """Around what is done in the data folder at the start. Raises Unusable where this user may not, or cannot."""
    try:
        yield
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}; UNVARNISHED_DATA_DIR names another folder") from None


def _make_key(path: Path) -> None:
    """Make a key file that appears whole or not at all; another process may be making it too, the first one stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent) as file:  # 0600 from the start
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def _key(text: str, origin: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Unusable(f"{origin} must hold 64 hexadecimal digits (32 bytes)")
    return key
