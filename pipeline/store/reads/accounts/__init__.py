"""Accounts read back: lists by risk and by orders, months of one account, names, and the newest orders."""
