"""What the client side stores: attempts under way, and the connections that came of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import DigestField, EncryptedTextField
from ..protocol.scopes import parse_scope

if TYPE_CHECKING:
    from ..transport import Transport


class ConnectAttempt(models.Model):
    """One click on "Connect your account", from the link to the callback.

    ``browser_digest`` is that of the short cookie that ties it to a browser. ``user`` is NULL for a log-in. Taken
    (``taken_at``) means that a callback was let in, completed that it ended well.
    """

    class Purpose(models.TextChoices):
        CONNECT = "connect", _("Connect an account")
        LOGIN = "login", _("Log in")

    state_digest = DigestField(unique=True)
    browser_digest = DigestField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    connection = models.ForeignKey("Connection", models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    taken_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    provider = models.CharField(max_length=64)
    issuer = models.TextField(default="")
    code_verifier = EncryptedTextField(null=True)
    redirect_uri = models.TextField()
    next_url = models.TextField(default="")
    scope = models.TextField(default="")

    class Meta:
        verbose_name = _("connect attempt")
        verbose_name_plural = _("connect attempts")

    def __str__(self) -> str:
        return f"{self.pk} · {self.provider}"


class Connection(models.Model):
    """A user's account at a provider, and the tokens to call its API with."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Connected")
        NEEDS_RECONNECT = "needs_reconnect", _("Needs to be connected again")
        REVOKED = "revoked", _("Disconnected")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="pkce_connections")
    created_at = models.DateTimeField(_("connected"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    access_token_expires_at = models.DateTimeField(_("access token expires"), null=True, db_index=True)
    refresh_claimed_until = models.DateTimeField(null=True, editable=False)
    provider = models.CharField(_("provider"), max_length=64)
    status = models.CharField(_("state"), max_length=16, choices=Status.choices, default=Status.ACTIVE)
    # Identity is (provider, issuer, subject) and nothing that a provider lets people choose, such as an e-mail address.
    account_digest = DigestField(unique=True, null=True, editable=False)
    issuer = models.TextField(default="", blank=True)
    subject = models.TextField(_("subject"), null=True, blank=True)
    label = models.CharField(_("account"), max_length=255, default="", blank=True)
    picture_url = models.TextField(default="", blank=True)
    scope = models.TextField(_("scopes"), default="", blank=True)
    raw_access_token = EncryptedTextField(default="", editable=False, db_column="access_token")
    raw_refresh_token = EncryptedTextField(default="", editable=False, db_column="refresh_token")
    metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")

    def __str__(self) -> str:
        return f"{self.provider} · {self.label or self.subject or self.pk}"

    @property
    def scopes(self) -> tuple[str, ...]:
        return parse_scope(self.scope)

    def access_token(self, *, transport: Transport | None = None, now: datetime | None = None) -> str:
        """Return a token that is valid now, refreshed first if it runs out within a minute.

        Raises ``ReconnectRequired`` where only the user can mend it, ``ProviderUnavailable`` where a later try can, and
        ``UnknownProvider`` where the settings no longer have the provider.
        """
        from .refresh import access_token

        return access_token(self, transport=transport, now=now or timezone.now())
