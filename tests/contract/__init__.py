"""Tests against other people's descriptions of their interfaces."""
