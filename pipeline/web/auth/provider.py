"""The identity provider: OpenID Connect's code flow with PKCE. What an ID token states counts only once it is checked.

Outside libraries: authlib (PKCE, claims of ID tokens), joserfc (signatures), httpx (requests).
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from pipeline.settings import Settings
from pipeline.store.users.secrets import new_secret

# Signatures by a key that the provider alone has. Neither "none" nor an HMAC with a secret that we share.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_TIMEOUT = httpx.Timeout(10.0)  # seconds; somebody waits for the page
_METADATA_SECONDS = 3_600.0  # how long the provider's description and keys are kept
_KEYS_AGAIN_SECONDS = 60.0  # at most so often a token with an unknown key makes us read the keys again
_LEEWAY = 60  # seconds by which the provider's clock may differ


class ProviderError(Exception):
    """The provider cannot be used, or what it sent is not valid. `reason` is for the record of acts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Flow(NamedTuple):
    """A sign-in on its way: where the browser is sent, and what is kept until it comes back."""

    url: str
    nonce: str
    verifier: str


class Returned(NamedTuple):
    """What a browser brings back, and what was kept."""

    code: str
    nonce: str
    verifier: str
    redirect_uri: str


class Statement(NamedTuple):
    """What the provider states about a user."""

    issuer: str
    subject: str
    names: Sequence[str]
    groups: Sequence[str]


class _Description(NamedTuple):
    """The provider's metadata and keys, and when they were read."""

    metadata: Mapping[str, Any]
    keys: Any
    read_at: float


class Provider:
    """One identity provider, as configured."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._lock = Lock()
        self._known: _Description | None = None

    def begin(self, redirect_uri: str, state: str) -> Flow:
        """Begin a sign-in. Raises ProviderError."""
        metadata = self._description().metadata
        nonce, verifier = new_secret(), new_secret()
        wanted = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        url = add_params_to_uri(_endpoint(metadata, "authorization_endpoint"), wanted.items())
        return Flow(url, nonce, verifier)

    def finish(self, returned: Returned, now: datetime) -> Statement:
        """Exchange the code and check the ID token. Raises ProviderError."""
        metadata = self._description().metadata
        token = self._exchange(_endpoint(metadata, "token_endpoint"), returned)
        claims = self._checked(token, returned.nonce, now)
        groups = claims.get(self._settings.oidc_groups_claim)
        if groups is None and metadata.get("userinfo_endpoint"):
            claims = {**self._user_info(metadata, token, claims["sub"]), **claims}
            groups = claims.get(self._settings.oidc_groups_claim)
        names = [claims.get(name) for name in ("preferred_username", "email", "sub")]
        return Statement(
            claims["iss"], claims["sub"], [name for name in names if isinstance(name, str) and name], _texts(groups)
        )

    def _exchange(self, endpoint: str, returned: Returned) -> Mapping[str, Any]:
        """The tokens for a code (RFC 6749, 4.1.3). A client without a secret names itself; PKCE protects both."""
        fields = {
            "grant_type": "authorization_code",
            "code": returned.code,
            "redirect_uri": returned.redirect_uri,
            "code_verifier": returned.verifier,
        }
        client_id, secret = self._settings.oidc_client_id or "", self._settings.oidc_client_secret
        if secret is None:
            return self._fetch("POST", endpoint, data=fields | {"client_id": client_id})
        basic = httpx.BasicAuth(quote(client_id, safe=""), quote(secret.get_secret_value(), safe=""))
        return self._fetch("POST", endpoint, data=fields, auth=basic)

    def _checked(self, token: Mapping[str, Any], nonce: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a token's ID token, if all that OpenID Connect demands of it is true."""
        described = self._description()
        metadata, client_id = described.metadata, self._settings.oidc_client_id
        offered = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [name for name in _ALGORITHMS if name in offered]
        try:
            decoded = self._decoded(str(token.get("id_token", "")), described, algorithms)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": client_id},
                    "nonce": {"essential": True},
                },
                {"nonce": nonce, "client_id": client_id, "access_token": token.get("access_token")},
            )
            claims.validate(now=round(now.timestamp()), leeway=_LEEWAY)
        except (JoseError, ValueError, TypeError):
            raise ProviderError("ID token not valid") from None
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise ProviderError("ID token without a subject")
        found: Mapping[str, Any] = claims
        return found

    def _decoded(self, id_token: str, described: _Description, algorithms: Sequence[str]) -> jwt.Token:
        registry = JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
        try:
            return jwt.decode(id_token, KeySet.import_key_set(described.keys), registry=registry)
        except InvalidKeyIdError:  # the provider may have a new key
            newer = self._description(_KEYS_AGAIN_SECONDS)
            return jwt.decode(id_token, KeySet.import_key_set(newer.keys), registry=registry)

    def _user_info(self, metadata: Mapping[str, Any], token: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
        bearer = {"authorization": f"Bearer {token.get('access_token', '')}"}
        found = self._fetch("GET", _endpoint(metadata, "userinfo_endpoint"), headers=bearer)
        if found.get("sub") != subject:
            raise ProviderError("user info of somebody else")
        return found

    def _description(self, max_age: float = _METADATA_SECONDS) -> _Description:
        with self._lock:
            known = self._known
            if known is None or time.monotonic() - known.read_at > max_age:
                issuer = self._settings.oidc_issuer or ""
                metadata = self._fetch("GET", f"{issuer}/.well-known/openid-configuration")
                if str(metadata.get("issuer", "")).rstrip("/") != issuer:
                    raise ProviderError("provider has another issuer")
                keys = self._fetch("GET", _endpoint(metadata, "jwks_uri"))
                known = self._known = _Description(metadata, keys, time.monotonic())
            return known

    def _fetch(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        """The JSON object in an answer of the provider."""
        try:
            with httpx.Client(timeout=_TIMEOUT, transport=self._transport) as client:
                answer = client.request(method, url, **more)
            if method == "POST" and answer.is_client_error:
                raise ProviderError("code refused")
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise ProviderError("provider unavailable") from None
        if not isinstance(found, dict):
            raise ProviderError("provider unavailable")
        return found


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    found = metadata.get(name)
    if not isinstance(found, str):
        raise ProviderError("provider unavailable")
    return found


def _texts(value: object) -> list[str]:
    """The groups of a claim: a list, or one name."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]
