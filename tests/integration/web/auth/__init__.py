"""Tests of sign-in, sessions, roles and scopes on the internal listener."""
