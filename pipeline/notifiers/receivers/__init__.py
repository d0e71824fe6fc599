"""Receivers: where incidents are sent. One folder each behind one contract (`port.py`); `registry.py` lists them."""
