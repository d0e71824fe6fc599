"""Who makes a request on the internal listener. The guard sets it; handlers read `request.user`."""

from typing import NamedTuple


class Principal(NamedTuple):
    """The person or program that is signed in."""

    name: str


TOKEN_HOLDER = Principal("sign-in token")  # the one principal there is: all users share the sign-in token
