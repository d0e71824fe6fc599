"""A provider that forges: it signs and states what a test wants, as the answer to any code."""

import base64
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import httpx
from joserfc import jws, jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

ISSUER, CLIENT = "https://id.example.com", "unvarnished"
_NONE = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
Claims = dict[str, Any]


@lru_cache
def _honest() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "honest"})


class ForgingProvider:
    """Answers every request of the flow. `change` alters the claims of the ID token, `sign` signs them."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.key = _honest()
        self.published = [self.key]
        self.nonce = ""
        self.issuer = ISSUER
        self.groups: Any = ["boss"]
        self.change: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = lambda claims: self.signed(claims, self.key)
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self._now = now

    def signed(self, claims: Claims, key: RSAKey, algorithm: str = "RS256", **header: Any) -> str:
        """An ID token signed with that key."""
        return jwt.encode({"alg": algorithm, "kid": key.kid, **header}, claims, key, algorithms=[algorithm])

    def unsigned(self, claims: Claims) -> str:
        """An ID token with `alg: none` and no signature."""
        _, payload, _ = self.signed(claims, self.key).split(".")
        return f"{_NONE}.{payload}."

    def by_public_key(self, claims: Claims) -> str:
        """An ID token signed with HMAC, whose secret is the public key that everybody knows."""
        secret = OctKey.import_key(self.key.as_pem(private=False))
        payload = jwt.encode({"alg": "RS256", "kid": "honest"}, claims, self.key).split(".")[1]
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return jws.serialize_compact({"alg": "HS256", "kid": "honest"}, raw, secret, algorithms=["HS256"])

    def transport(self) -> httpx.MockTransport:
        """The network, on which only this provider exists."""
        return httpx.MockTransport(self._answer)

    def claims(self) -> Claims:
        """What an honest ID token states."""
        now = round(self._now())
        return {
            "iss": ISSUER,
            "sub": "42",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "preferred_username": "mia",
            "groups": self.groups,
        }

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = dict(httpx.QueryParams(request.content.decode()))
        self.requests.append((request.url.path, body))
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json=self._metadata())
        if request.url.path == "/keys":
            return httpx.Response(200, json=KeySet([*self.published]).as_dict(private=False))
        token = {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(self.change(self.claims()))}
        return httpx.Response(200, json=token)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
