"""Tables of incidents, of the notices about them, and of cases."""
