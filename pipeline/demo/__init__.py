"""A simulated distributor that demonstrates the product: generated from a seed, without any network."""
