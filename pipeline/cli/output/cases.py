"""Cases in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.domain.reports.cases import CaseActOut, CaseOut
from pipeline.notifiers.wording.sentences import plain
from pipeline.web.internal.cases.api import CaseDetail
from pipeline.web.internal.words import case_reason, plain_word


def show_cases(console: Console, found: Sequence[CaseOut], number: int, overdue: int) -> None:
    """Print one row per case. `number`, `overdue`: of all that are open."""
    if not found:
        console.print("No cases.")
        return
    table = Table(title=f"{number} cases are open, {overdue} overdue", title_justify="left")
    table.add_column("id", no_wrap=True)
    for heading in ("what", "about", "when (UTC)", "owner"):
        table.add_column(heading, overflow="fold")
    for case in found:
        about = ", ".join(plain(part) for part in (case.order_id, case.contact_id, case.incident_id) if part)
        table.add_row(case.id, f"{case.severity}: {_reasons(case)}", about, _when(case), plain(case.owner or "-"))
    console.print(table)


def _when(case: CaseOut) -> str:
    if case.closed_at is not None:
        return f"closed {_time(case.closed_at)}: {plain_word(case.outcome or '')}"
    return f"{'OVERDUE since' if case.overdue else 'due'} {_time(case.due_at)}"


def show_case(console: Console, found: CaseDetail) -> None:
    """Print one case with its conversation and its acts, the oldest first."""
    case = found.case
    about = f"order {plain(case.order_id)}" if case.order_id else f"incident {case.incident_id}"
    due = f"due {_time(case.due_at)} UTC" + (", OVERDUE" if case.overdue else "")
    head = f"{case.id}: {case.severity}, {_reasons(case)}, {about}, {case.state}, {due}"
    console.print(head, markup=False)
    grid = Table.grid(padding=(0, 2))
    for step in found.conversation:
        who = "customer" if step.voice == "customer" else "we"
        question = f"our question ({plain(step.question)}), by {step.channel}" if step.question else ""
        if step.response:
            question = f"our response, by {step.channel} ({step.state}):"
        said = " ".join(filter(None, [question, plain(step.words or ""), step.stated]))
        grid.add_row(f"{step.at:%Y-%m-%d %H:%M}", who, said)
    for act in found.acts:
        grid.add_row(_time(act.at), plain(act.by), _what(act))
    console.print(grid)


def _what(act: CaseActOut) -> str:
    what = "phone call" if act.note == "call" else plain_word(act.change or act.what)
    outcome = plain_word(act.outcome) if act.what == "closed" and act.outcome else None
    owner = f"to {plain(act.owner or '')}" if act.change == "assigned" else None
    return " ".join(filter(None, [what, owner, outcome, plain(act.words or "")]))


def _reasons(case: CaseOut) -> str:
    return ", ".join(map(case_reason, case.reasons))


def _time(text: str) -> str:
    return text[:16].replace("T", " ")
