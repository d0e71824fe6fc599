"""Cases: what a person has to settle with a customer, when it is due, and what people do about it."""
