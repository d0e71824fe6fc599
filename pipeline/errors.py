"""Errors whose message is for the user of a command."""


class UserError(Exception):
    """Something the user can correct: a setting, an argument, a file, a service that is not running.

    The message is one sentence. Commands print it without a traceback and exit with code 2.
    """


class ClockSuspect(UserError):
    """This machine's clock cannot be believed now, so nothing may be stored with its time. It may pass by itself."""
