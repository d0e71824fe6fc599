"""The figures of accounts: what each ordered, what its people say, and how much of it probably went badly."""
