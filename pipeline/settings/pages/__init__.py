"""What the pages of accounts show, and when the report is sent."""
