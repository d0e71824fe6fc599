"""The start page of operations: which problems need somebody today."""
