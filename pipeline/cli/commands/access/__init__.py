"""Commands about users, keys, persons and what they did."""
