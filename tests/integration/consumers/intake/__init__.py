"""What happens to an event before it is processed."""
