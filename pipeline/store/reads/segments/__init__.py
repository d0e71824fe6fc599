"""What pages of segments read besides the figures."""
