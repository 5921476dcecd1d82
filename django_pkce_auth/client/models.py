"""What the client side stores: attempts under way, and the connections that came of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import DigestField, EncryptedTextField
from ..primary import Primary, PrimaryManager, PrimaryModel, PrimaryQuerySet
from ..protocol.scopes import parse_scope

if TYPE_CHECKING:
    import httpx2

    from ..transport import Transport


class ConnectAttempt(PrimaryModel):
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

    objects = Primary()

    class Meta:
        verbose_name = _("connect attempt")
        verbose_name_plural = _("connect attempts")

    def __str__(self) -> str:
        return f"{self.pk} · {self.provider}"


class Provider(PrimaryModel):
    """Another authorization server, entered in the admin; one of the settings with the same slug goes before it."""

    slug = models.SlugField(_("slug"), max_length=64, unique=True, help_text=_("Part of the redirect URI."))
    enabled = models.BooleanField(_("enabled"), default=True)
    preset = models.CharField(_("preset"), max_length=32, blank=True, help_text=_("Fills in what is left empty."))
    name = models.CharField(_("name"), max_length=200, blank=True)
    issuer = models.CharField(_("issuer"), max_length=500, blank=True)
    authorize_url = models.CharField(_("authorization endpoint"), max_length=500, blank=True)
    token_url = models.CharField(_("token endpoint"), max_length=500, blank=True)
    revoke_url = models.CharField(_("revocation endpoint"), max_length=500, blank=True)
    userinfo_url = models.CharField(_("userinfo endpoint"), max_length=500, blank=True)
    api_base_url = models.CharField(_("API"), max_length=500, blank=True)
    client_id = models.CharField(_("client ID"), max_length=500)
    raw_client_secret = EncryptedTextField(_("client secret"), default="", blank=True, db_column="client_secret")
    client_authentication = models.CharField(_("client authentication"), max_length=32, blank=True)
    scope = models.TextField(_("scopes"), blank=True, help_text=_("Separated by spaces."))
    login = models.BooleanField(_("log in"), default=False, help_text=_("Visitors may log in through an account."))
    create_users = models.BooleanField(_("create users"), default=False)
    rejects_pkce = models.BooleanField(_("rejects PKCE"), default=False, help_text=_("Only if it is known to."))
    extra_authorize_parameters = models.JSONField(_("extra parameters"), default=dict, blank=True)

    objects = Primary()

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name or self.slug

    def entry(self) -> dict[str, Any]:
        """Return the row in the form of ``PKCE_AUTH["PROVIDERS"]``, without what is left empty."""
        from ..provider_settings import PROVIDER_KEYS

        names = [name for name in PROVIDER_KEYS if name not in ("client_secret", "scopes")]
        found = {name: getattr(self, name) for name in names}
        found |= {"client_secret": str(self.raw_client_secret), "scopes": self.scope.split()}
        return {name: value for name, value in found.items() if value not in ("", [], {}, False)}


class ConnectionQuerySet(PrimaryQuerySet):
    def due(self, now: datetime) -> ConnectionQuerySet:
        """Active connections whose access token ends by ``now`` and can be refreshed, the oldest first."""
        ending = self.filter(status=Connection.Status.ACTIVE, access_token_expires_at__lte=now)
        return ending.exclude(raw_refresh_token="").order_by("access_token_expires_at")


OF_TOKENS = frozenset(
    {"raw_access_token", "raw_refresh_token", "access_token_expires_at", "scope", "status", "updated_at"}
)
"""What one refresh stores at once, and ``updated_at`` is the version of."""


class Connection(PrimaryModel):
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

    objects = PrimaryManager.from_queryset(ConnectionQuerySet)()

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")

    def __str__(self) -> str:
        return f"{self.provider} · {self.account_name or self.pk}"

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Like Django's, but a row that is saved whole keeps the tokens that were stored since it was read.

        Those that the instance has were replaced at the provider, and are worth nothing. Raises ``DatabaseError`` where
        the row was removed: what a user disconnected does not come back.
        """
        if self._state.adding or self.pk is None or force_insert or update_fields is not None:
            super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)
            return
        using = using or router.db_for_write(type(self), instance=self)
        read = {field.name for field in self._meta.concrete_fields if field.attname not in self.get_deferred_fields()}
        with transaction.atomic(using=using):
            super().save(using=using, update_fields=read - OF_TOKENS - {"id", "refresh_claimed_until"})
            as_read = Connection.objects.using(using).filter(pk=self.pk, updated_at__lte=self.updated_at)
            as_read.update(**{name: getattr(self, name) for name in read & OF_TOKENS})

    @property
    def account_name(self) -> str:
        """What tells the account from its user's others at the same provider; empty where the provider says nothing."""
        return self.label or self.subject or ""

    @property
    def scopes(self) -> tuple[str, ...]:
        return parse_scope(self.scope)

    def client(self, *, transport: Transport | None = None, **options: Any) -> httpx2.Client:
        """Return an ``httpx2.Client`` for the provider's ``api_base_url`` that carries this connection's token.

        The token is kept valid, replaced once where the API answers 401, and sent to no other origin, also not by a
        redirect. ``options`` go to ``httpx2.Client``, a ``timeout`` say. Close it, or use it in a ``with``. Its calls
        raise what ``access_token`` raises, ``InsufficientScope`` with the missing scopes, and ``httpx2``'s own errors.
        """
        import httpx2

        from .api import PublicOnly

        return httpx2.Client(**self._client_options(transport, options, PublicOnly))

    def async_client(self, *, transport: Transport | None = None, **options: Any) -> httpx2.AsyncClient:
        """Like ``client``, for ``async with`` and ``await``.

        A provider of the admin is a row, so there make it by ``await sync_to_async(connection.async_client)()``.
        """
        import httpx2

        from .api import AsyncPublicOnly

        return httpx2.AsyncClient(**self._client_options(transport, options, AsyncPublicOnly))

    def _client_options(self, transport: Transport | None, options: dict[str, Any], guard: type) -> dict[str, Any]:
        from ..conf import settings as current
        from .api import client_options
        from .registry import find_entry

        entry = find_entry(self.provider, settings=current())
        ours = client_options(self, entry, transport=transport)
        if entry is not None and entry.from_admin:
            # What somebody typed into a form must not lead into our own network, through a proxy neither.
            kept = {name: options[name] for name in ("verify", "cert", "http1", "http2", "limits") if name in options}
            ours |= {"transport": guard(trust_env=False, **kept), "mounts": None, "proxy": None}
        # Time-outs and the like are the caller's; where the token goes is not.
        return {"timeout": 5.0, **options, **ours}

    async def aaccess_token(self, *, transport: Transport | None = None, now: datetime | None = None) -> str:
        """Like ``access_token``, without blocking the event loop."""
        return await sync_to_async(self.access_token)(transport=transport, now=now)

    def access_token(self, *, transport: Transport | None = None, now: datetime | None = None) -> str:
        """Return a token that is valid now, refreshed first if it runs out within a minute.

        Raises ``ReconnectRequired`` where only the user can mend it, ``ProviderUnavailable`` where a later try can, and
        ``UnknownProvider`` where the settings no longer have the provider.
        """
        from .refresh import access_token

        return access_token(self, transport=transport, now=now or timezone.now())
