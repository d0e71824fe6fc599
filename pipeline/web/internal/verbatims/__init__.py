"""The unfiltered stream of customers' words, and what is not in it."""
