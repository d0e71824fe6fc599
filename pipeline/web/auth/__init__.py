"""Who makes a request, and whether they may: sign-in, sessions, API tokens, the guard of the internal listener."""
