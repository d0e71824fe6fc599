"""The journal of events, in embedded mode and in a cluster, with its outbox, spool and dead letters."""
