"""JWT access tokens, checked by the keys that their issuer publishes (RFC 9068 §4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ...authorization_server import AuthorizationServer
from ...discovery import MAX_SECONDS, Unpublished, keep, lifetime, server_metadata
from ...jose import ALGORITHMS, MIN_RSA_BITS, TOKEN_TYPE, registry
from ...transport import HttpTransport, shown
from ..grant import Unavailable

if TYPE_CHECKING:
    from joserfc.jwk import Key

logger = logging.getLogger("django_pkce_auth.resource")

TYPES: Final = frozenset({TOKEN_TYPE, f"application/{TOKEN_TYPE}"})
CLOCK_SKEW_SECONDS: Final = 10
"""How far ahead of ours the issuer's clock may be."""
MAX_TOKEN_CHARACTERS: Final = 16_384
Keys = Mapping[str, tuple["Key", tuple[str, ...]]]


def verified_claims(raw_token: str, *, server: AuthorizationServer, now: datetime) -> Mapping[str, Any] | None:
    """Return the claims of a token that is genuine, of this issuer, and valid at ``now``; else None.

    Raises Unavailable where the issuer's keys can't be had.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    try:
        if raw_token.count(".") != 2 or len(raw_token) > MAX_TOKEN_CHARACTERS:
            raise _Invalid("it is no JWT")
        key, algorithms = _key_of(raw_token, server)
        claims = jwt.decode(raw_token, key, registry=registry(algorithms)).claims
        _check(claims, server, now.timestamp())
    except _Invalid as error:
        # For whoever has to find out; the client is told no more than that the token is invalid.
        logger.info("A token is refused: %s", error)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        logger.info("A token is refused: it is malformed, or was not signed by that key: %s", type(error).__name__)
    else:
        return claims
    return None


class _Invalid(Exception):
    """Why a token is not valid, without anything of what it says."""


def _key_of(raw_token: str, server: AuthorizationServer) -> tuple[Key, tuple[str, ...]]:
    """Return the key that the header names, and what it may sign; an unknown one asks for the keys anew."""
    from joserfc.jws import extract_compact

    header = extract_compact(raw_token.encode("ascii")).headers()
    kid, kind = header.get("kid"), header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise _Invalid("its type is not at+jwt; is it an ID token?")
    # No extension is understood here, so whatever "crit" lists is not (RFC 7515 §4.1.11).
    if not isinstance(kid, str) or "crit" in header:
        raise _Invalid("it names no key, or something that must be understood and is not")
    found = _keys(server).get(kid) or _keys(server, renew=True).get(kid)
    if found is None:
        raise _Invalid(f"{server.issuer} publishes no such key")
    return found


def _keys(server: AuthorizationServer, *, renew: bool = False) -> Keys:
    transport = HttpTransport()

    def fetch() -> tuple[Keys, float]:
        url = server.jwks_url or server_metadata(server.issuer, transport=transport).jwks_uri
        if not url:
            raise Unpublished(f"{server.issuer} publishes no jwks_uri; it signs no tokens, or name its 'jwks_url'.")
        answer = transport.request("GET", url)
        document = answer.json() if answer.status == 200 else None
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise Unpublished(f"{shown(url)} answered {answer.status}, with no key set in it.")
        return _usable(listed), lifetime(answer)

    try:
        # A key that the issuer withdrew must not live on for ever because its key set can't be fetched.
        return keep(("jwks", server.issuer, server.jwks_url), fetch, renew=renew, stale=MAX_SECONDS)
    except Unpublished as error:
        logger.error("Tokens can't be verified: %s", error)
        raise Unavailable from None


def _usable(listed: list[Any]) -> Keys:
    """Return the keys for signatures that we know how to use; the others are not ours to judge (RFC 7517 §5)."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    keys: dict[str, tuple[Key, tuple[str, ...]]] = {}
    for jwk in listed:
        algorithms = _algorithms(jwk)
        if not algorithms:
            continue
        if jwk["kty"] == "RSA" and len(str(jwk.get("n"))) * 6 < MIN_RSA_BITS:
            continue
        public = {name: value for name, value in jwk.items() if name in ("kty", "crv", "x", "y", "n", "e")}
        try:
            keys[jwk["kid"]] = (JWKRegistry.import_key(public), algorithms)
        except (JoseError, ValueError, TypeError, AttributeError):
            continue
    return keys


def _algorithms(jwk: object) -> tuple[str, ...]:
    """Return what a published key may have signed; nothing for one that is not for signatures."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or jwk.get("use", "sig") != "sig":
        return ()
    kind = (jwk.get("kty"), jwk.get("crv", ""))
    if not all(isinstance(part, str) for part in kind):
        return ()
    able = ALGORITHMS.get((str(kind[0]), str(kind[1])), ())
    return tuple(name for name in able if jwk.get("alg", name) == name)


def _check(claims: Mapping[str, Any], server: AuthorizationServer, now: float) -> None:
    if claims.get("iss") != server.issuer:
        raise _Invalid(f"its issuer is another than {server.issuer}")
    expires = _time(claims.get("exp"))
    if expires is None or expires <= now:
        raise _Invalid("it has expired")
    begins = [_time(claims[name]) for name in ("nbf", "iat") if name in claims]
    if not all(moment is not None and moment <= now + CLOCK_SKEW_SECONDS for moment in begins):
        raise _Invalid("it is not valid yet; do the clocks differ?")


def _time(value: object) -> float | None:
    """Return a NumericDate (RFC 7519 §2), or None for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 10**11 else None  # type: ignore[operator,return-value]
