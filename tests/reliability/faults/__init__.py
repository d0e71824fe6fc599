"""A cluster of real processes, broken on purpose, and judged by what it was told: `make faults`."""
