"""The history of the Brazilian marketplace Olist."""
