"""Notices of incidents: the outbox, the deliveries to receivers, and what each receiver knows."""
