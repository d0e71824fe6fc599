"""The paths that Twilio posts to. They are configured at Twilio and signed with every call, so they stay."""

TEXT_PATH = "/twilio/sms"
STATUS_PATH = "/twilio/status"
