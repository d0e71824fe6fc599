"""What the report of a period reads besides figures: accounts at risk, drawn words, what was closed."""
