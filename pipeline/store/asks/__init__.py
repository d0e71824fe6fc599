"""Asks: decisions to ask, claims of dispatchers, send outcomes, form links and conversations by text."""
