"""The composition root: builds the product's parts from the settings and runs them, one file for each process."""
