"""Telling people: the channels questions go out by, and the words alerts are told in."""
