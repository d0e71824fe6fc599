"""`python -m pipeline` is `unvarnished`."""

from pipeline.cli import main

main()
