"""Text messages through Twilio: sending, list of inbound texts, webhooks, signature, error codes, settings check."""
