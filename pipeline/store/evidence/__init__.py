"""The evidence of segments, the baselines, and the alerts."""
