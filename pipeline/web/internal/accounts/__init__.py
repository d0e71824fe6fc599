"""Accounts by risk and by orders, the page of one account, and its scorecard."""
