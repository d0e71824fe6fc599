"""The paths that Twilio posts to. They are configured at Twilio and signed with every call, so they stay."""

TEXT_PATH = "/twilio/sms"
STATUS_PATH = "/twilio/status"
WHATSAPP_PREFIX = "whatsapp:"  # of WhatsApp addresses at Twilio
WHATSAPP_TEXT_PATH = "/twilio/whatsapp"
WHATSAPP_STATUS_PATH = "/twilio/whatsapp-status"
