"""The composition root: builds the product's parts from the settings and runs them, one file for each process.

`embedded` runs everything in one process. In a cluster `processes` runs one role (`web`, `worker`, `dispatcher`,
`relay`), and `supervisor` one process of each. All build on `installation` (opens the database), `bootstrap` (parts of
several processes) and `serving` (runs threads and listeners until a signal).
"""
