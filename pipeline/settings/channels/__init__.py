"""The settings of each channel, one module for each provider."""
