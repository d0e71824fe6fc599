"""Cases: the list, one case with its conversation and what people do about it, and the same as JSON."""
