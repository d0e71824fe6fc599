"""An order: the facts its events report, the claim that follows from them, and the dialogue about it."""
