"""Lists of orders by their filters, and the search. Every read is bounded by the principal's scope, in SQL."""
