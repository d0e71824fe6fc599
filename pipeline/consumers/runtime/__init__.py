"""What runs the processors in one process: the embedded runner, the write queue, retries, background threads."""
