"""The product as its user starts it: the command, in processes of its own."""
