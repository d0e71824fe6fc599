"""The segments of a level, worst first, and the page of one segment."""
