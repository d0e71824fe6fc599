"""Benchmarks on this machine. Rates are noisy, so each is compared with a limit or a peer measured in the same run."""
