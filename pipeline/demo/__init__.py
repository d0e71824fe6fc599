"""A simulated distributor to show what the product is for: invented from a seed, without network."""
