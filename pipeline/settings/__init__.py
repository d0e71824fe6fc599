"""Every setting of an installation, one module for each subject, composed into one `Settings` class."""

from pipeline.settings.base import ConfigurationError, data_dir_errors
from pipeline.settings.detection import DEFAULT_SEGMENT_LEVELS
from pipeline.settings.renamed import RenamedSettingWarning
from pipeline.settings.settings import GROUPS, Settings

__all__ = [
    "DEFAULT_SEGMENT_LEVELS",
    "GROUPS",
    "ConfigurationError",
    "RenamedSettingWarning",
    "Settings",
    "data_dir_errors",
]
