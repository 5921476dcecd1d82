"""The keys that sign JWT access tokens, and the time in which each signs and is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..fields import EncryptedTextField
from ..primary import PrimaryManager, PrimaryModel, PrimaryQuerySet


class SigningKeyQuerySet(PrimaryQuerySet):
    def signing(self, algorithm: str, now: datetime) -> Any:
        """Return the key that signs at ``now``, or None: the newest of those that have begun and not ended."""
        able = self.primary().filter(Q(retires_at=None) | Q(retires_at__gt=now), algorithm=algorithm)
        return able.filter(active_at__lte=now).order_by("-active_at", "-pk").first()

    def published(self, now: datetime) -> Any:
        return self.primary().filter(Q(published_until=None) | Q(published_until__gt=now)).order_by("-pk")


class SigningKey(PrimaryModel):
    """A key pair. It is published from the moment that it is made, and signs from ``active_at`` to ``retires_at``."""

    class Algorithm(models.TextChoices):
        ES256 = "ES256", _("ES256 (ECDSA, P-256)")
        EDDSA = "EdDSA", _("EdDSA (Ed25519)")
        PS256 = "PS256", _("PS256 (RSA-PSS)")
        RS256 = "RS256", _("RS256 (RSA, PKCS #1 v1.5)")

    kid = models.CharField(_("key ID"), max_length=64, unique=True)
    algorithm = models.CharField(_("algorithm"), max_length=12, choices=Algorithm.choices)
    created_at = models.DateTimeField(_("made"))
    active_at = models.DateTimeField(_("signs from"))
    retires_at = models.DateTimeField(_("signs until"), null=True)
    published_until = models.DateTimeField(_("published until"), null=True)
    public_jwk = models.TextField(_("public key"))
    private_jwk = EncryptedTextField(editable=False)

    objects = PrimaryManager.from_queryset(SigningKeyQuerySet)()

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")

    def __str__(self) -> str:
        return self.kid

    def state(self, now: datetime) -> str:
        """Return ``waiting``, ``signing``, ``published`` (it only verifies any more) or ``gone``."""
        if self.published_until is not None and self.published_until <= now:
            return "gone"
        if self.retires_at is not None and self.retires_at <= now:
            return "published"
        return "signing" if self.active_at <= now else "waiting"
