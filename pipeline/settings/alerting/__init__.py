"""Where incidents are sent, when cases are due, and which figures are metrics."""
