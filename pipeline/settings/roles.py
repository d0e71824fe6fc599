"""The processes of a cluster: worker, dispatcher and relay. The web role uses the HTTP listeners."""

from typing import ClassVar

from pydantic import Field

from pipeline.settings.base import Fraction, Port, SettingsGroup


class RoleSettings(SettingsGroup):
    """Ports and limits of the roles."""

    subject: ClassVar[str] = "Roles (cluster mode)"

    worker_port: Port = Field(8082, description="port of a worker's health and metrics. 0: any free port")
    dispatcher_port: Port = Field(8083, description="port of a dispatcher's health and metrics. 0: any free port")
    relay_port: Port = Field(8084, description="port of a relay's health and metrics. 0: any free port")
    kafka_batch_size: int = Field(
        500, ge=1, le=10_000, description="maximum number of records that a worker processes in one transaction"
    )
    worker_stall_timeout_seconds: float = Field(
        60,
        ge=4,
        description="seconds without progress, despite lag, after which a worker exits so that it can be restarted",
    )
    max_dead_letters_per_minute: int = Field(
        100,
        ge=0,
        description="number of dead letters within a minute above which a worker stops, if their share also exceeds "
        "UNVARNISHED_MAX_DEAD_LETTER_SHARE",
    )
    max_dead_letter_share: Fraction = Field(
        0.2,
        description="share of dead letters among the records of a minute above which a worker stops, if their number "
        "also exceeds UNVARNISHED_MAX_DEAD_LETTERS_PER_MINUTE",
    )
