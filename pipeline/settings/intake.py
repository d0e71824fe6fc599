"""How many events and provider calls may arrive, and how large they may be."""

from typing import ClassVar

from pydantic import Field

from pipeline.domain.events.contract import MAX_EVENT_BYTES
from pipeline.settings.base import SettingsGroup


class IntakeSettings(SettingsGroup):
    """The limits of what is received by HTTP."""

    subject: ClassVar[str] = "Receiving events"

    max_events_per_request: int = Field(500, ge=1, le=5_000, description="maximum number of events in one HTTP request")
    max_event_bytes: int = Field(
        MAX_EVENT_BYTES, ge=1_024, le=MAX_EVENT_BYTES, description="maximum size in bytes of one event received by HTTP"
    )
    max_events_body_bytes: int = Field(
        8 << 20, ge=1_024, description="maximum size in bytes of the body of a request with events"
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
