"""Questions by e-mail: sending through an SMTP server, reports of bounces, settings check."""
