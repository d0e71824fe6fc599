"""One order: its page, its timeline, and the view that the page and the read API share."""
