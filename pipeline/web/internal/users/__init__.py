"""The page of users, for admins."""
