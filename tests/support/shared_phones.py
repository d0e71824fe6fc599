"""The share of questions that went to shared phones: the reference file contains it, the product does not show it."""


def shared_phone_share(invites_to_shared: int, invites: int) -> float | None:
    """Of the invites, the share that went to shared phones."""
    return invites_to_shared / invites if invites > 0 else None
