"""What happens when an event arrives: intake, runner, and one processor per business event."""
