"""Sign in through an OpenID Connect provider: redirect to it, handle the callback and verify the ID token.

This is the code flow of OpenID Connect Core 1.0 with PKCE (S256), a state and a nonce, as RFC 9700 recommends.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
from joserfc.errors import JoseError, MissingKeyError
from joserfc.jwk import KeySet, import_key
from joserfc.jws import JWSRegistry

from painchain.accounts.oidc_sign_in import CALLBACK, Identity, OidcSignInFailed, PendingSignIn
from painchain.core.config import Settings
from painchain.core.http_transport import BoundedTransport, Deadline
from painchain.core.setting_parsers import LOOPBACK

STEP_SECONDS, ANSWER_SECONDS = 5.0, 10.0
ANSWER_BYTES = 1024 * 1024
DISCOVERY_SECONDS = 3600.0
LEEWAY_SECONDS = 60  # how far two clocks may differ
SIGN_IN_SECONDS = 600  # how long a sign-in at the provider may take
# Never "none", and no algorithm that uses the client secret as its key.
SIGNED_BY = frozenset(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)) | {"EdDSA", "Ed25519"}
OLD_NAMES = {"Ed25519": "EdDSA"}
KEYS = ("RSA", "EC", "OKP")

_CODE = re.compile(r"[a-z_]{1,60}")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")

log = logging.getLogger(__name__)


class Provider:
    """A client of the provider that the settings name."""

    def __init__(self, settings: Settings):
        self.name = settings.oidc_name
        self.issuer = settings.oidc_issuer
        self._id, self._secret = settings.oidc_client_id, settings.oidc_client_secret
        self._redirect = settings.public_url + CALLBACK
        self._metadata: tuple[float, dict[str, Any]] = (0.0, {})

    def begin(self, now: datetime, is_again: bool = False) -> tuple[str, PendingSignIn]:
        """Return the provider's sign-in address, and what to store in the browser until the user returns.

        If the user signs in again, the provider is asked to authenticate them even if they have a session there, and to
        say when that was: a request with `max_age` makes `auth_time` mandatory (OpenID Connect Core 1.0, 3.1.2.1).

        :raises OidcSignInFailed: when the provider's metadata cannot be read.
        """
        secrets = token_urlsafe(32), token_urlsafe(32), token_urlsafe(32)
        started = PendingSignIn(*secrets, int(now.timestamp()), is_again)
        with self._translated_errors(), self._client() as client:
            address, _ = client.create_authorization_url(
                self._discover(client)["authorization_endpoint"],
                state=started.state,
                nonce=started.nonce,
                code_verifier=started.verifier,
                **({"prompt": "login", "max_age": str(SIGN_IN_SECONDS)} if is_again else {}),
            )
        return str(address), started

    def finish(self, started: PendingSignIn | None, answered: Mapping[str, str], now: datetime) -> Identity:
        """Verify the parameters of the callback and return the user's identity.

        :raises OidcSignInFailed: when the sign-in was not started here, or verification fails.
        """
        if started is None or not compare_digest(answered.get("state", "").encode(), started.state.encode()):
            raise OidcSignInFailed(
                "This sign-in was not started in this browser, was already used, or took longer than ten minutes. "
                "Start again.",
                "the state is not that of this browser",
                400,
            )
        if (error := answered.get("error")) is not None:
            code = error if _CODE.fullmatch(error) else "an error"
            raise OidcSignInFailed(
                f"{self.name} refused the sign-in ({code}). You are not signed in.", f"refused: {code}", 403
            )
        with self._translated_errors(), self._client() as client:
            metadata = self._discover(client)
            if answered.get("iss", self.issuer) != self.issuer:  # RFC 9207
                raise ValueError("the answer is from another issuer")
            token = client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=answered.get("code", ""),
                code_verifier=started.verifier,
            )
            claims = self._verify_id_token(client, token, started.nonce, now)
            is_remembered = not _authenticated_since(claims, started.started)
            if started.is_again and is_remembered:
                raise self._not_authenticated_again(claims)
            return self._identity(claims, self._email_claims(client, token, claims), is_remembered)

    def _client(self) -> Any:
        """Return Authlib's client, with limits on time and size. It follows no redirects."""
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

    def _discover(self, client: Any) -> dict[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery 1.0), cached for an hour.

        :raises ValueError: when the issuer is wrong, or an endpoint is not protected by TLS.
        """
        fetched_at, metadata = self._metadata
        if not metadata or time.monotonic() - fetched_at > DISCOVERY_SECONDS:
            metadata = _get(client, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != self.issuer:
                raise ValueError(f"its issuer is {metadata.get('issuer')!r}, which is not PAINCHAIN_OIDC_ISSUER")
            for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _require_https(metadata[endpoint])
            self._metadata = time.monotonic(), metadata
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._secret and "client_secret_basic" not in methods and "client_secret_post" in methods:
            client.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  the name of a method
        return metadata

    def _verify_id_token(self, client: Any, token: Mapping[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        """Return the claims of the ID token. Verify its signature, audience, nonce and expiry time."""
        metadata = self._discover(client)
        keys = _usable_keys(_get(client, metadata["jwks_uri"])["keys"])
        algorithms = SIGNED_BY.intersection(metadata.get("id_token_signing_alg_values_supported", ["RS256"]))
        decoded = jwt.decode(
            token["id_token"],
            keys,
            registry=JWSRegistry(algorithms=sorted(algorithms), strict_check_header=False),
        )
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._id},
        }
        parameters = {"nonce": nonce, "client_id": self._id, "access_token": token.get("access_token")}
        # Authlib does not know the name of RFC 9864, and chooses the hash of at_hash by the name.
        header = {**decoded.header, "alg": OLD_NAMES.get(decoded.header["alg"], decoded.header["alg"])}
        claims = CodeIDToken(decoded.claims, header, options, parameters)
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
        return dict(claims)

    def _email_claims(self, client: Any, token: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the claims with the email address: those of the ID token, or else of the userinfo endpoint."""
        endpoint = self._discover(client).get("userinfo_endpoint")
        if "email" in claims or not endpoint:
            return claims
        _require_https(endpoint)
        userinfo = _get(client, endpoint, {"Authorization": f"Bearer {token['access_token']}"})
        if userinfo.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, 5.3.2
            raise ValueError("the userinfo endpoint describes another subject")
        return userinfo

    def _identity(self, claims: Mapping[str, Any], email_claims: Mapping[str, Any], is_remembered: bool) -> Identity:
        subject, email = claims["sub"], email_claims.get("email")
        if not subject or len(subject) > 255 or not subject.isascii() or not subject.isprintable():
            raise ValueError("the subject is invalid")
        # Only ASCII is compared: other letters can look like ASCII, or become ASCII when case is folded.
        comparable = isinstance(email, str) and len(email) <= 254 and _EMAIL.fullmatch(email)
        verified = email_claims.get("email_verified") in (True, "true")  # some providers send it as text
        return Identity(self.issuer, subject, str(email).lower() if comparable else "", verified, is_remembered)

    def _not_authenticated_again(self, claims: Mapping[str, Any]) -> OidcSignInFailed:
        if "auth_time" in claims:
            fault, reason = "did not ask you to sign in again", "the provider did not authenticate the user again"
        else:
            fault, reason = "does not say when you signed in there", "the ID token has no auth_time"
        log.warning("Sign-in through %s failed: %s", self.issuer, reason)
        return OidcSignInFailed(f"{self.name} {fault}. Sign in with your password instead.", reason, 403)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OAuthError as error:
            raise self._token_refused(str(error.error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("Sign-in through %s failed: no response (%s: %s)", self.issuer, type(error).__name__, error)
            message = f"{self.name} does not respond correctly. Try again in a minute."
            raise OidcSignInFailed(message, "the provider did not answer", 503) from None
        except JoseError as error:
            reason = " ".join(filter(None, (error.error, getattr(error, "claim", None))))
            log.warning("Sign-in through %s failed: the ID token is invalid (%s)", self.issuer, reason)
            message = f"The ID token from {self.name} is invalid ({reason}). You are not signed in. Start again."
            raise OidcSignInFailed(message, f"the ID token is not to be believed: {reason}", 502) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning(
                "Sign-in through %s failed: invalid response (%s: %s)", self.issuer, type(error).__name__, error
            )
            message = (
                f"The response from {self.name} is not valid OpenID Connect. See PainChain's server log for details."
            )
            raise OidcSignInFailed(message, "the provider's answer was not understood", 502) from None

    def _token_refused(self, error: str) -> OidcSignInFailed:
        code = error if _CODE.fullmatch(error) else "an error"
        log.warning("Sign-in through %s failed: the provider refused the code (%s)", self.issuer, code)
        if code == "invalid_grant":
            message = f"{self.name} does not accept this sign-in: it was already used or has expired. Start again."
            return OidcSignInFailed(message, "the code was refused: invalid_grant", 400)
        message = f"{self.name} does not accept PainChain as a client ({code}). Ask the operator to fix the settings."
        return OidcSignInFailed(message, f"the client was refused: {code}", 502)


class _Transport(BoundedTransport):
    """A transport that reads whole responses: uncompressed, with limits on time and size."""

    def __init__(self) -> None:
        self._deadline = Deadline()
        super().__init__(_trust(), self._deadline, guarded=False)  # the operator chooses the issuer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its complete response."""
        self._deadline.moment = time.monotonic() + ANSWER_SECONDS
        response = super().handle_request(request)
        body = bytearray()
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise httpx2.DecodingError("the response is compressed, which was not requested")
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    raise httpx2.DecodingError("the response is too large")
        finally:
            response.close()
        return httpx2.Response(response.status_code, headers=response.headers, content=bytes(body))


@cache
def _trust() -> ssl.SSLContext:
    """Return the TLS context with the trust store of the system. It is cached: reading the store takes 20 ms."""
    return httpx2.create_ssl_context()


def _get(client: Any, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    response = client.request("GET", address, withhold_token=True, headers=headers)
    response.raise_for_status()
    value = response.json()
    if not isinstance(value, dict):
        raise ValueError(f"{urlsplit(address).path} is not a JSON object")
    return value


def _authenticated_since(claims: Mapping[str, Any], started: int) -> bool:
    """Return whether the provider says that it authenticated the user after a sign-in was started."""
    auth_time = claims.get("auth_time") or 0  # Authlib has verified that it is a number
    return bool(auth_time >= started - LEEWAY_SECONDS)


def _usable_keys(published: Sequence[Mapping[str, Any]]) -> KeySet:
    """Return the keys that can verify a signature; leave out others, such as one on an unknown curve (RFC 7517, 5).

    :raises MissingKeyError: when there is none.
    """
    keys = []
    for key in published:
        if key.get("kty") in KEYS and key.get("use", "sig") == "sig":
            with suppress(JoseError, KeyError, TypeError, ValueError):  # joserfc raises KeyError for an unknown curve
                keys.append(import_key(dict(key)))
    if not keys:
        raise MissingKeyError("No usable key")
    return KeySet(keys)


def _require_https(address: str) -> None:
    """Refuse an address without TLS, unless it is on loopback."""
    url = urlsplit(address)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise ValueError(f"{address} does not begin with https://")


def _basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> Any:
    """Authenticate with ID and secret, form-encoded first as RFC 6749, 2.3.1 requires. Authlib omits the encoding."""
    encoded = _Encoded(quote_plus(client.client_id), quote_plus(client.client_secret))
    return encode_client_secret_basic(encoded, method, uri, headers, body)


@dataclass(frozen=True)
class _Encoded:
    client_id: str
    client_secret: str
