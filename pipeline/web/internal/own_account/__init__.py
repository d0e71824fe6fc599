"""The page of the own account: password, second factor, signing out."""
