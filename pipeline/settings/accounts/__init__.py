"""How accounts are shown to the people who look after them, and to their purchasers."""
