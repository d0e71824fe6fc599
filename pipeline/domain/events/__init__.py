"""The event contract: the data of each event, its bounds, and decoding from CloudEvents."""
