"""Where incidents are sent, and which figures are metrics."""
