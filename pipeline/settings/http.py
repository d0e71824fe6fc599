"""The public and the internal HTTP listener."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from pipeline.settings.base import Port, SettingsGroup


class HttpSettings(SettingsGroup):
    """Addresses, the sign-in token and the limits of both listeners."""

    subject: ClassVar[str] = "HTTP listeners"

    public_host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="address on which the public listener accepts connections: events, forms, webhooks",
    )
    public_port: Port = Field(8080, description="port of the public listener. 0: any free port")
    public_url: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known.get('public_port', 8080)}",
        description="URL at which customers and providers reach the public listener, as in https://ask.example.com. It "
        "is part of every link that is sent and of every webhook signature. By default it works on this machine only",
    )
    internal_host: str = Field(
        "127.0.0.1",
        description="address on which the internal listener accepts connections: dashboard, read API, metrics, health",
    )
    internal_port: Port = Field(8081, description="port of the internal listener. 0: any free port")
    sign_in_token: SecretStr | None = Field(
        None,
        min_length=20,
        description="token that opens the internal listener, with every permission. Without it, each start generates "
        "and prints one, which works until the first admin has signed in. The printed link works once",
    )
    max_connections: int = Field(
        500, ge=10, description="maximum number of open connections per listener. Further ones are closed at once"
    )
    header_timeout_seconds: float = Field(10, gt=0, description="seconds in which the headers of a request must arrive")
    body_timeout_seconds: float = Field(30, gt=0, description="seconds in which the body of a request must arrive")
    write_timeout_seconds: float = Field(
        20, gt=0, description="seconds after which a connection is closed if the client reads nothing of a response"
    )
    response_timeout_seconds: float = Field(
        30, gt=0, description="seconds in which received events must be stored. After that the response is 503"
    )
    shutdown_timeout_seconds: int = Field(
        15, ge=1, description="seconds that open requests have to finish when the process is stopped"
    )
    max_body_bytes: int = Field(
        64 << 10, ge=1_024, description="maximum size in bytes of a request body, except for requests with events"
    )
    max_wrong_keys_per_minute: int = Field(
        30, ge=1, description="requests a minute with a wrong API key after which a client address has to wait"
    )
    max_wrong_links_per_minute: int = Field(
        30, ge=1, description="requests a minute for links that do not exist after which a client address has to wait"
    )

    @field_validator("public_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or with http://, on your own machine)")
        return value.rstrip("/")
