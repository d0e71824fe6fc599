"""The pages of persons: find, export, ask for an erasure, confirm one."""
