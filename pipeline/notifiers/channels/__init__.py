"""One folder for each channel: how its messages go out and, where it has them, its inbox and webhooks."""
