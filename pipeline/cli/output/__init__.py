"""The report and the alerts in a terminal, from 80 columns up, each printed on the console it is given."""

from pipeline.cli.output.alert_text import show_alerts, show_diagnosis
from pipeline.cli.output.dead_letters import show_dead_letters
from pipeline.cli.output.report import show_report

__all__ = ["show_alerts", "show_dead_letters", "show_diagnosis", "show_report"]
