"""Sends notices of incidents to receivers."""
