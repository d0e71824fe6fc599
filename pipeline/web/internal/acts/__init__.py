"""The page of acts, for auditors."""
