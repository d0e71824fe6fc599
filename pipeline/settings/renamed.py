"""Settings that got a clearer name. In this version their old variables go on working, with a warning."""

import warnings
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

OLD_NAMES = {
    # storage
    "batch_size": "batch",
    # detection
    "segment_levels": "levels",
    "false_alerts_per_year": "alerts_a_year",
    # asking
    "overdue_ask_after_hours": "probe_after_hours",
    "customer_timezones": "zones",
    # sending
    "provider_timeout_seconds": "provider_seconds",
    "dispatcher_concurrency": "dispatcher_width",
    # http
    "max_connections": "connections",
    "header_timeout_seconds": "header_seconds",
    "body_timeout_seconds": "body_seconds",
    "write_timeout_seconds": "write_seconds",
    "response_timeout_seconds": "answer_seconds",
    "shutdown_timeout_seconds": "stop_seconds",
    "max_body_bytes": "body_bytes",
    "max_wrong_keys_per_minute": "wrong_keys_a_minute",
    "max_wrong_links_per_minute": "wrong_links_a_minute",
    # intake
    "max_events_per_request": "events_a_request",
    "max_event_bytes": "event_bytes",
    "max_events_body_bytes": "events_body_bytes",
    "max_pending_events": "waiting_events",
    "max_pending_bytes": "waiting_bytes",
    "max_spool_bytes": "spool_bytes",
    # kafka
    "kafka_input_retention_hours": "kafka_received_hours",
    "kafka_output_retention_hours": "kafka_told_hours",
    "kafka_dead_letter_retention_hours": "kafka_dead_letter_hours",
    # roles
    "kafka_batch_size": "kafka_batch",
    "max_dead_letters_per_minute": "dead_letters_a_minute",
    "max_dead_letter_share": "dead_letter_share",
    "worker_stall_timeout_seconds": "stall_seconds",
}
"""The name of a setting -> the name it had before."""


class RenamedSettingWarning(FutureWarning):
    """A variable with an old name is set. The message names the new one."""


class RenamedVariables(EnvSettingsSource):
    """Reads the old variables of renamed settings. Ranks below the environment, so a new name wins."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value under the old name, or None. Warns if there is one. Called by pydantic-settings."""
        old_name = OLD_NAMES.get(field_name)
        if old_name is None:
            return None, field_name, False
        value, _, is_complex = super().get_field_value(field, old_name)
        if value is not None:
            self._warn(old_name, field_name)
        return value, field_name, is_complex

    def _warn(self, old_name: str, new_name: str) -> None:
        old, new = f"{self.env_prefix}{old_name.upper()}", f"{self.env_prefix}{new_name.upper()}"
        unused = "; the new one is set too, so the old one is ignored" if self._is_set(new) else ""
        message = f"{old} is now called {new}; the old name works in this version only{unused}"
        warnings.warn(message, RenamedSettingWarning, stacklevel=2)

    def _is_set(self, variable: str) -> bool:
        return self._apply_case_sensitive(variable) in self.env_vars
