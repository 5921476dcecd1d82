"""Making, replacing and retiring the keys that sign access tokens, and signing with them (RFC 9068, RFC 7517)."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from ..conf import Settings
from ..encryption import Unreadable
from ..jose import MIN_RSA_BITS, TOKEN_TYPE, registry
from ..protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError
from ..published import MAX_AGE_SECONDS
from .events import record
from .models import OPAQUE, AccessToken, Client
from .signing_key import SigningKey

if TYPE_CHECKING:
    from joserfc.jwk import Key

logger = logging.getLogger("django_pkce_auth.server")

AHEAD: Final = timedelta(seconds=MAX_AGE_SECONDS) + timedelta(minutes=5)
"""How long a new key is published before it signs: until nobody has a copy of the key set without it."""
KEPT_SECONDS: Final = 60
"""How long a process signs with the key that it found."""


def add_key(algorithm: str, *, settings: Settings, now: datetime) -> SigningKey:
    """Make the first key of an algorithm, which signs at once; raises ValidationError where there is one."""
    if SigningKey.objects.signing(algorithm, now) is not None:
        raise ValidationError(_("A key signs %(algorithm)s already; rotate it.") % {"algorithm": algorithm})
    return _make(algorithm, active_at=now, settings=settings, now=now)


def ensure_key(algorithm: str, *, settings: Settings, now: datetime) -> SigningKey | None:
    """Make a key of an algorithm that has none, and return it; None where one signs."""
    if algorithm == OPAQUE or SigningKey.objects.signing(algorithm, now) is not None:
        return None
    return _make(algorithm, active_at=now, settings=settings, now=now)


def rotate_key(algorithm: str, *, settings: Settings, now: datetime) -> SigningKey:
    """Make a key that is published now and signs once everybody can know it; the old ones stop signing then."""
    using = router.db_for_write(SigningKey)
    with transaction.atomic(using=using):
        begun = SigningKey.objects.signing(algorithm, now) is not None
        made = _make(algorithm, active_at=now + AHEAD if begun else now, settings=settings, now=now)
        signing = SigningKey.objects.using(using).filter(algorithm=algorithm, retires_at=None).exclude(pk=made.pk)
        for key in signing.select_for_update():
            _end(key, at=made.active_at, settings=settings, using=using)
    return made


def retire_key(key: SigningKey, *, compromised: bool = False, settings: Settings, now: datetime) -> None:
    """Let the key sign nothing any more; it stays published until the last token that it signed has expired.

    ``compromised`` takes it out of the key set at once. Raises ValidationError where clients would be left without a
    key, unless it is compromised. One that is gone stays so: it may have been compromised.
    """
    if key.state(now) == "gone":
        return
    using = router.db_for_write(SigningKey)
    others = SigningKey.objects.using(using).exclude(pk=key.pk)
    if not compromised and others.signing(key.algorithm, now) is None:
        clients = Client.objects.using(using).filter(token_format=key.algorithm, disabled_at=None)
        if names := list(clients.values_list("client_id", flat=True)[:5]):
            raise ValidationError(
                _("No other key signs %(algorithm)s, which %(clients)s and maybe more use; rotate first.")
                % {"algorithm": key.algorithm, "clients": ", ".join(names)}
            )
    with transaction.atomic(using=using):
        # As it is by now: who read it before another took it out as compromised must not publish it again. That other
        # may have begun later, or by another clock; what is gone in a minute signs nothing any more in any case.
        key.refresh_from_db(using=using, from_queryset=SigningKey.objects.using(using).select_for_update())
        if not compromised and key.state(now + timedelta(seconds=KEPT_SECONDS)) == "gone":
            return
        _end(key, at=min(now, key.retires_at or now), settings=settings, using=using, compromised=compromised, now=now)
    _found.clear()


def _end(
    key: SigningKey,
    *,
    at: datetime,
    settings: Settings,
    using: str,
    compromised: bool = False,
    now: datetime | None = None,
) -> None:
    last = AccessToken.objects.using(using).aggregate(last=Max("expires_at"))["last"]
    signed_until = at + timedelta(seconds=KEPT_SECONDS) + settings.access_token_lifetime
    key.retires_at = at
    key.published_until = now if compromised else max(signed_until, last or signed_until)
    key.save(using=using, update_fields=["retires_at", "published_until"])
    record("signing_key_retired", using=using, kid=key.kid, algorithm=key.algorithm, compromised=compromised)


def _make(algorithm: str, *, active_at: datetime, settings: Settings, now: datetime) -> SigningKey:
    if not settings.encryption_keys:
        raise ValidationError(
            _("Signing keys are stored encrypted: set PKCE_AUTH['ENCRYPTION_KEYS'] first, as the README says.")
        )
    # A key ID is typed into commands, where one that begins with a hyphen would be an option.
    while (pair := _generate(algorithm)).thumbprint().startswith("-"):
        pass
    using = router.db_for_write(SigningKey)
    kid = pair.thumbprint()
    members = {"kid": kid, "alg": algorithm, "use": "sig"}
    made = SigningKey(
        kid=kid,
        algorithm=algorithm,
        created_at=now,
        active_at=active_at,
        public_jwk=json.dumps({**pair.as_dict(private=False), **members}),
        private_jwk=json.dumps({**pair.as_dict(private=True), **members}),
    )
    with transaction.atomic(using=using):
        made.save(force_insert=True, using=using)
        record("signing_key_added", using=using, kid=kid, algorithm=algorithm)
    return made


def _generate(algorithm: str) -> Key:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if algorithm == SigningKey.Algorithm.ES256:
        return ECKey.generate_key("P-256")
    if algorithm == SigningKey.Algorithm.EDDSA:
        return OKPKey.generate_key("Ed25519")
    if algorithm in SigningKey.Algorithm.values:
        return RSAKey.generate_key(max(MIN_RSA_BITS, 3072))
    known = ", ".join(SigningKey.Algorithm.values)
    raise ValidationError(_("%(name)s is none of %(known)s.") % {"name": algorithm[:20], "known": known})


_found: dict[tuple[str, str, tuple[str, ...]], tuple[float, str, Key]] = {}


def sign(claims: dict[str, Any], *, algorithm: str, settings: Settings, now: datetime, using: str) -> str:
    """Return the claims as a signed token; raises OAuthError where no key can sign. At most one query a minute.

    But for a key's first minute: until it is over, a transaction (a test's, say) may take the key back.
    """
    from joserfc import jwt

    place, clock = (using, algorithm, settings.encryption_keys), time.monotonic()
    found = _found.get(place)
    if found is not None and clock < found[0]:
        _, kid, key = found
    else:
        row, key = _load(algorithm, now)
        kid = row.kid
        if row.created_at <= now - timedelta(seconds=KEPT_SECONDS):
            _found[place] = (clock + KEPT_SECONDS, kid, key)
    header = {"alg": algorithm, "typ": TOKEN_TYPE, "kid": kid}
    return jwt.encode(header, claims, key, registry=registry((algorithm,)), default_type=None)


def _load(algorithm: str, now: datetime) -> tuple[SigningKey, Key]:
    from joserfc.jwk import JWKRegistry

    row = SigningKey.objects.signing(algorithm, now)
    if row is None or isinstance(row.private_jwk, Unreadable):
        why = "there is none; manage.py pkce_keys add makes one" if row is None else f"none opens {row.kid}"
        logger.error("No key can sign %s tokens: %s.", algorithm, why, extra={"event": "signing_key_missing"})
        raise OAuthError(TEMPORARILY_UNAVAILABLE, "The server can't sign a token right now; try again later.")
    return row, JWKRegistry.import_key(json.loads(row.private_jwk))
