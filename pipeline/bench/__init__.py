"""Measurements on this machine. Rates are noisy, so each stands beside a limit or a peer measured in the same run."""
