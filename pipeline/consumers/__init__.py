"""What happens when an event arrives: intake, runners, and one processor per business event."""
