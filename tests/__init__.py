"""Tests of Unvarnished."""
