"""The report and the alerts in a terminal, from 80 columns up, each printed on the console it is given."""

from pipeline.terminal.letters import show_dead_letters
from pipeline.terminal.report import show_report
from pipeline.terminal.told import show_alerts, show_diagnosis

__all__ = ["show_alerts", "show_dead_letters", "show_diagnosis", "show_report"]
