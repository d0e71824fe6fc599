"""What the commands print on a terminal of at least 80 columns, each on the console that is passed in."""

from pipeline.cli.output.alert_text import show_alerts, show_diagnosis
from pipeline.cli.output.dead_letters import show_dead_letters
from pipeline.cli.output.report import show_report

__all__ = ["show_alerts", "show_dead_letters", "show_diagnosis", "show_report"]
