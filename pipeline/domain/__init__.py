"""The rules of the product: pure values in, values out; no I/O and no clock."""
