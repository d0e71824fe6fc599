"""Commands that run until they are stopped: the whole product, or one role of a cluster."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.app.process_role import ProcessRole

if TYPE_CHECKING:
    from pipeline.app.serving import Addresses

app = typer.Typer()


@app.command("up")
def up_command() -> None:
    """Receive events, send questions and serve the dashboard. Ctrl-C stops it.

    One process does everything (embedded mode). If UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS is set, each role runs in a
    process of its own (cluster mode).

    Ports: 8080 for events, forms and webhooks (UNVARNISHED_PUBLIC_PORT), 8081 for dashboard, read API and metrics
    (UNVARNISHED_INTERNAL_PORT). In cluster mode also 8082 (worker), 8083 (dispatcher) and 8084 (relay) for their
    health and metrics.

    Data folder: UNVARNISHED_DATA_DIR. Without it, the user's data folder: on Linux ~/.local/share/unvarnished.

    All settings: docs/settings.md
    """
    from pipeline.app import embedded, supervisor
    from pipeline.app.installation import open_installation
    from pipeline.settings import Settings

    settings = Settings()
    if settings.uses_kafka:
        supervisor.run_all(settings)
    else:
        embedded.run(open_installation(settings, sending=True), settings, _show_addresses)


@app.command("run")
def run_command(
    role: Annotated[ProcessRole, typer.Argument(help="The role of this process.")],
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="Exit when standard input is closed.")
    ] = False,
) -> None:
    """Run one role of a cluster on Kafka and PostgreSQL. Any number of processes can run the same role.

    All settings: docs/settings.md
    """
    from pipeline.app import processes
    from pipeline.settings import Settings

    processes.run(role, Settings(), _show_addresses, supervised)


def _show_addresses(addresses: "Addresses") -> None:
    print(f"Unvarnished is up. Ctrl-C stops it.\n  public    {addresses.public}\n  internal  {addresses.internal}")
    if addresses.token is not None:
        print(f"  token     {addresses.token}")
    print(f"  sign in   {addresses.sign_in}")
    print(f"  levels    {addresses.levels}", flush=True)
    print(
        "            To count another dimension of your orders: unvarnished levels add DIMENSION:CAPACITY", flush=True
    )
    if not addresses.keys:
        print(
            "No API key exists yet, so no events can be received: unvarnished keys create NAME",
            file=sys.stderr,
            flush=True,
        )
