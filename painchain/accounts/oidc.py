"""Sign in through an OpenID Connect provider: lead there, take what comes back, and believe nothing that is unsigned.

The code flow of OpenID Connect Core 1.0 with PKCE (S256), a state and a nonce, as RFC 9700 has it.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.auth import encode_client_secret_basic
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from painchain.core.config import Settings
from painchain.core.http_transport import BoundedTransport, Deadline
from painchain.core.setting_parsers import LOOPBACK

STEP_SECONDS, ANSWER_SECONDS = 5.0, 10.0
ANSWER_BYTES = 1024 * 1024
DESCRIBED_SECONDS = 3600.0
LEEWAY_SECONDS = 60  # by which two clocks may differ
CALLBACK = "/sign-in/oidc/back"
# Never "none", and no signature whose key is the client secret.
SIGNED_BY = frozenset(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)) | {"EdDSA"}
KEYS = ("RSA", "EC", "OKP")

_CODE = re.compile(r"[a-z_]{1,60}")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """What the browser keeps while somebody is at the provider."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Identity:
    """Who somebody is to the provider. `email` is empty where there is none that can be compared."""

    issuer: str
    subject: str
    email: str
    verified: bool


class Failed(Exception):
    """A sign-in that came to no end. The message is for the person, `why` for the record."""

    def __init__(self, message: str, why: str, status: int):
        super().__init__(message)
        self.why, self.status = why, status


class Provider:
    """The provider that the settings name, as this server's client."""

    def __init__(self, settings: Settings):
        self.name = settings.oidc_name
        self.issuer = settings.oidc_issuer
        self._id, self._secret = settings.oidc_client_id, settings.oidc_client_secret
        self._redirect = settings.public_url + CALLBACK
        self._found: tuple[float, dict[str, Any]] = (0.0, {})

    def begin(self) -> tuple[str, Started]:
        """Return the address at the provider where somebody signs in, and what to keep meanwhile.

        :raises Failed: when the provider does not say where that is.
        """
        started = Started(token_urlsafe(32), token_urlsafe(32), token_urlsafe(32))
        with self._talking(), self._client() as client:
            address, _ = client.create_authorization_url(
                self._described(client)["authorization_endpoint"],
                state=started.state,
                nonce=started.nonce,
                code_verifier=started.verifier,
            )
        return str(address), started

    def finish(self, started: Started | None, answered: Mapping[str, str], now: datetime) -> Identity:
        """Return who it is that the provider sends back with these parameters.

        :raises Failed: when it is not the sign-in that was started here, or cannot be believed.
        """
        if started is None or not compare_digest(answered.get("state", "").encode(), started.state.encode()):
            raise Failed(
                "This sign-in was not started here, was used already, or took longer than ten minutes. Start again.",
                "the state is not that of this browser",
                400,
            )
        if (error := answered.get("error")) is not None:
            code = error if _CODE.fullmatch(error) else "an error"
            raise Failed(f"{self.name} did not let you in ({code}). Nobody was signed in.", f"refused: {code}", 403)
        with self._talking(), self._client() as client:
            described = self._described(client)
            if answered.get("iss", self.issuer) != self.issuer:  # RFC 9207
                raise ValueError("the answer is another issuer's")
            token = client.fetch_token(
                described["token_endpoint"],
                grant_type="authorization_code",
                code=answered.get("code", ""),
                code_verifier=started.verifier,
            )
            claims = self._verified(client, token, started.nonce, now)
            return self._identity(claims, self._told_of(client, token, claims))

    def _client(self) -> Any:
        """Return Authlib's client, bounded in time and size; it follows no redirect."""
        client = OAuth2Client(
            self._id,
            self._secret or None,
            scope="openid email",
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            transport=_Transport(),
            timeout=httpx2.Timeout(STEP_SECONDS),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "PainChain"},
            follow_redirects=False,
            trust_env=False,
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client

    def _described(self, client: Any) -> dict[str, Any]:
        """Return what the provider says of itself (OpenID Connect Discovery 1.0), not asked for again for an hour.

        :raises ValueError: when it is not who it should be, or keys and codes would go unprotected.
        """
        at, described = self._found
        if not described or time.monotonic() - at > DESCRIBED_SECONDS:
            described = _get(client, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if described.get("issuer") != self.issuer:
                raise ValueError(f"it calls itself {described.get('issuer')!r}, which PAINCHAIN_OIDC_ISSUER is not")
            for place in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _check(described[place])
            self._found = time.monotonic(), described
        methods = described.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._secret and "client_secret_basic" not in methods and "client_secret_post" in methods:
            client.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  the name of a method
        return described

    def _verified(self, client: Any, token: Mapping[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        """Return the claims of the ID token: signed by the provider, made for us, for this sign-in and now."""
        described = self._described(client)
        published = _get(client, described["jwks_uri"])["keys"]
        usable = [key for key in published if key.get("kty") in KEYS and key.get("use", "sig") == "sig"]
        algorithms = SIGNED_BY.intersection(described.get("id_token_signing_alg_values_supported", ["RS256"]))
        decoded = jwt.decode(
            token["id_token"],
            KeySet.import_key_set({"keys": usable}),
            registry=JWSRegistry(algorithms=sorted(algorithms), strict_check_header=False),
        )
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._id},
        }
        about = {"nonce": nonce, "client_id": self._id, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, about)
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
        return dict(claims)

    def _told_of(self, client: Any, token: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return where the e-mail address is told: in the ID token, or else at the userinfo endpoint."""
        place = self._described(client).get("userinfo_endpoint")
        if "email" in claims or not place:
            return claims
        _check(place)
        told = _get(client, place, {"Authorization": f"Bearer {token['access_token']}"})
        if told.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, 5.3.2
            raise ValueError("the userinfo endpoint tells of somebody else")
        return told

    def _identity(self, claims: Mapping[str, Any], told: Mapping[str, Any]) -> Identity:
        subject, email = claims["sub"], told.get("email")
        if not subject or len(subject) > 255 or not subject.isascii() or not subject.isprintable():
            raise ValueError("the subject is none that the standard allows")
        # Compared is ASCII alone: other letters can look like it, or become it when case is folded.
        comparable = isinstance(email, str) and len(email) <= 254 and _EMAIL.fullmatch(email)
        verified = told.get("email_verified") in (True, "true")  # some providers send it as text
        return Identity(self.issuer, subject, str(email).lower() if comparable else "", verified)

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except OAuthError as error:
            raise self._refused(str(error.error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("Sign-in through %s: no answer (%s: %s)", self.issuer, type(error).__name__, error)
            message = f"{self.name} does not answer as it should now. Try again in a minute."
            raise Failed(message, "the provider did not answer", 503) from None
        except JoseError as error:
            why = " ".join(filter(None, (error.error, getattr(error, "claim", None))))
            log.warning("Sign-in through %s: an ID token that is not to be believed (%s)", self.issuer, why)
            message = f"What {self.name} sent cannot be believed ({why}). Nobody was signed in; start again."
            raise Failed(message, f"the ID token is not to be believed: {why}", 502) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("Sign-in through %s: not understood (%s: %s)", self.issuer, type(error).__name__, error)
            message = f"What {self.name} answered is not what OpenID Connect says. PainChain's log has details."
            raise Failed(message, "the provider's answer was not understood", 502) from None

    def _refused(self, error: str) -> Failed:
        code = error if _CODE.fullmatch(error) else "an error"
        log.warning("Sign-in through %s: the code was refused (%s)", self.issuer, code)
        if code == "invalid_grant":
            message = f"{self.name} does not take this sign-in: it was used already or is too old. Start again."
            return Failed(message, "the code was refused: invalid_grant", 400)
        message = f"{self.name} does not take PainChain as a client ({code}). Whoever runs this server can mend that."
        return Failed(message, f"the client was refused: {code}", 502)


class _Transport(BoundedTransport):
    """Connections whose answers are read whole at once: in time, up to a size, and never packed."""

    def __init__(self) -> None:
        self._over = Deadline()
        super().__init__(_trust(), self._over, guarded=False)  # the issuer is chosen by whoever runs the server

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its answer, read to the end."""
        self._over.moment = time.monotonic() + ANSWER_SECONDS
        response = super().handle_request(request)
        body = bytearray()
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise httpx2.DecodingError("the answer is packed, which was not asked for")
            for part in response.iter_raw():
                body += part
                if len(body) > ANSWER_BYTES:
                    raise httpx2.DecodingError("the answer is too large")
        finally:
            response.close()
        return httpx2.Response(response.status_code, headers=response.headers, content=bytes(body))


@cache
def _trust() -> ssl.SSLContext:
    """Return how certificates are checked, by the trust store of the system: reading that takes 20 ms."""
    return httpx2.create_ssl_context()


def _get(client: Any, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    response = client.request("GET", address, withhold_token=True, headers=headers)
    response.raise_for_status()
    value = response.json()
    if not isinstance(value, dict):
        raise ValueError(f"{urlsplit(address).path} is no JSON object")
    return value


def _check(address: str) -> None:
    """Refuse an address to which nobody should be sent."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{address} does not begin with https://")


def _basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> Any:
    """Sign a request with id and secret, encoded as a form before (RFC 6749, 2.3.1), which Authlib leaves out."""
    encoded = _Encoded(quote_plus(client.client_id), quote_plus(client.client_secret))
    return encode_client_secret_basic(encoded, method, uri, headers, body)


@dataclass(frozen=True)
class _Encoded:
    client_id: str
    client_secret: str
