"""What reports and pages read, by key or from sums."""
