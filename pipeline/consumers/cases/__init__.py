"""Cases: what opens them, what people do about them, and the question whether they are settled."""
