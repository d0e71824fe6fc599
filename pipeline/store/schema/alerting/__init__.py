"""Tables of incidents and of the notices about them."""
