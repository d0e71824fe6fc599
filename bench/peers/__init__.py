"""The same work on other frameworks, each in a process of its own: `python -m bench.peers.NAME`."""
