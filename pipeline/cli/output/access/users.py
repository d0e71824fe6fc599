"""Users and acts as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.store.acts.acts import StoredAct
from pipeline.store.acts.corrections import StoredCorrection
from pipeline.store.users.users import User

_MOST_ORDERS = 10


def show_users(console: Console, users: Sequence[User]) -> None:
    """Print one row per user."""
    if not users:
        console.print("No user yet. Add an admin: unvarnished users add NAME --role admin")
        return
    table = Table(title=f"{len(users)} users", title_justify="left")
    for heading in ("name", "role", "scope", "state", "second factor"):
        table.add_column(heading)
    for user in users:
        scope = "everything" if user.scope.is_everything else ", ".join(map(plain, user.scope.texts()))
        table.add_row(plain(user.name), user.role, scope, user.state, "yes" if user.totp else "no")
    console.print(table)


def show_acts(console: Console, acts: Sequence[StoredAct]) -> None:
    """Print one row per act."""
    if not acts:
        console.print("No act yet.")
        return
    table = Table(title=f"{len(acts)} acts, newest first", title_justify="left")
    for heading in ("time (UTC)", "who", "what", "to what", "from"):
        table.add_column(heading)
    for _, act in acts:
        details = "; ".join(f"{name}: {plain(value)}" for name, value in act.details.items())
        subject = "\n".join(filter(None, (plain(act.subject), details)))
        table.add_row(f"{act.at:%Y-%m-%d %H:%M}", plain(act.who), act.what.replace("_", " "), subject, act.origin)
    console.print(table)


def show_waiting(console: Console, waiting: Sequence[StoredCorrection]) -> None:
    """Print how many corrections wait, below a report that does not count them yet; nothing if there are none."""
    if waiting:
        orders = ", ".join(dict.fromkeys(plain(one.order_id) for one in waiting[:_MOST_ORDERS]))
        number = "1 correction waits" if len(waiting) == 1 else f"{len(waiting)} corrections wait"
        console.print(f"\n{number} for a second user, not counted yet: unvarnished corrections list ({orders})")
