"""Identity providers for the tests of the sign-in: a real one, and one that forges."""
