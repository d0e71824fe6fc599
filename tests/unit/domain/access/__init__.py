"""Tests of roles, scopes, acts and the rule of two people."""
