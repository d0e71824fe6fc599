"""The report for management: one page of a week or month, and the same as an e-mail."""
