"""How many events and provider calls may arrive, and how large they may be."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pipeline.domain.events.contract import KINDS, MAX_EVENT_BYTES, NEVER_RECEIVED
from pipeline.settings.base import SettingsGroup


class IntakeSettings(SettingsGroup):
    """The limits of what is received by HTTP."""

    subject: ClassVar[str] = "Receiving events"

    max_event_ahead_minutes: float = Field(
        10,
        ge=0,
        description="minutes by which the time of an event may be ahead of its receipt. An event further ahead is "
        "refused: the clock or the time zone of its source is wrong",
    )
    event_types: Annotated[Mapping[str, str], NoDecode] = Field(
        {},
        description="types of events that other systems send, and ours that they stand for, separated by commas, as in "
        "com.acme.order.fulfilled=order.completed. For HTTP and Kafka",
    )
    empty_event_responses: bool = Field(
        False,
        description="answer accepted events without a body, for senders such as a Knative broker that read a body as "
        "an event in reply. A sender can ask for it with the header Prefer: return=minimal",
    )
    accept_key_in_query: bool = Field(
        False,
        description="accept the API key as access_token in the query of POST /v1/events, for senders that can set no "
        "header, such as Azure Event Grid. Proxies and senders may log it",
    )
    webhook_origins: Annotated[frozenset[str], NoDecode] = Field(
        frozenset({"*"}),
        description="origins that an OPTIONS request may ask permission for to deliver events (CloudEvents webhook "
        "validation), separated by commas. *: all. Each delivery still needs an API key",
    )
    max_events_per_request: int = Field(500, ge=1, le=5_000, description="maximum number of events in one HTTP request")
    max_event_bytes: int = Field(
        MAX_EVENT_BYTES, ge=1_024, le=MAX_EVENT_BYTES, description="maximum size in bytes of one event received by HTTP"
    )
    max_events_body_bytes: int = Field(
        8 << 20, ge=1_024, description="maximum size in bytes of the body of a request with events"
    )
    max_concurrent_body_bytes: int = Field(
        12 << 20,
        ge=1_024,
        description="maximum size in bytes of all requests with events that are read, checked and stored at once. "
        "Further ones wait, and get 503 if that takes too long. Decoded, events need several times their size",
    )
    max_pending_events: int = Field(
        20_000,
        ge=1,
        description="maximum number of events that were received and are not stored yet. Further ones get 503",
    )
    max_pending_bytes: int = Field(
        64 << 20, ge=1_024, description="maximum size in bytes of the events that were received and are not stored yet"
    )
    max_spool_bytes: int = Field(
        64 << 20,
        ge=4_096,
        description="maximum size in bytes of the spool in the data folder, which stores the provider's webhook calls "
        "while the database is unavailable",
    )

    @property
    def max_event_ahead(self) -> timedelta:
        """How far the time of an event may be ahead of its receipt."""
        return timedelta(minutes=self.max_event_ahead_minutes)

    @field_validator("event_types", mode="before")
    @classmethod
    def _parse_types(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if any(not theirs.strip() or not ours.strip() for theirs, _, ours in pairs):
            raise ValueError("must be pairs such as com.acme.order.fulfilled=order.completed, separated by commas")
        return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}

    @field_validator("event_types")
    @classmethod
    def _check_types(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        allowed = KINDS.keys() - NEVER_RECEIVED
        for theirs, ours in value.items():
            if ours not in allowed:
                raise ValueError(f"{ours!r} is not one of {', '.join(sorted(allowed))}")
            if theirs in KINDS:
                raise ValueError(f"{theirs!r} is a type of Unvarnished and cannot stand for another")
        return value

    @field_validator("webhook_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
