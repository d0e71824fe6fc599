"""The readers of replies on hostile and random text."""
