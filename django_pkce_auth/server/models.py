"""What the authorization server stores. No column can hold a usable secret; token rows are insert-only.

Columns of fixed width come first and rare ones are NULL, as there is a row of each kind for every session. What points
to a family is not checked by the database as well: that would cost each issuance three look-ups and each family that
goes four, and a token without its family opens nothing and goes when it expires.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import DigestField
from ..primary import Primary, PrimaryModel
from ..protocol.scopes import parse_scope
from ..secrets import fingerprint
from .remembered import Remembered
from .signing_key import SigningKey
from .validity import identifiers, is_live

# Also keeps javascript: and the like out of the links on the consent page.
_https_url = URLValidator(schemes=["https"])
OPAQUE = "opaque"


class Client(PrimaryModel):
    """A registered client (RFC 6749 §2)."""

    class Type(models.TextChoices):
        CONFIDENTIAL = "confidential", _("Confidential: runs on a server and keeps a secret")
        PUBLIC = "public", _("Public: runs in a browser or on the user's device")

    class Introspects(models.TextChoices):
        OWN = "own", _("Its own tokens")
        ALL = "all", _("Every token of this server, as a resource server does")

    client_id = models.CharField(_("client ID"), max_length=200, unique=True)
    name = models.CharField(_("name"), max_length=200, help_text=_("People read it when they are asked for access."))
    type = models.CharField(_("type"), max_length=12, choices=Type.choices, default=Type.CONFIDENTIAL)
    scope = models.TextField(
        _("allowed scopes"), blank=True, help_text=_("The scopes that this client may ask for, separated by spaces.")
    )
    default_scope = models.TextField(
        _("default scopes"), blank=True, help_text=_("What a request without scope gets; empty: it is refused.")
    )
    grant_types = models.CharField(_("grant types"), max_length=255, default="authorization_code refresh_token")
    rotates_refresh_tokens = models.BooleanField(
        _("rotates refresh tokens"),
        default=True,
        help_text=_("Give a new refresh token at each use. Public clients always do."),
    )
    first_party = models.BooleanField(
        _("first party"), default=False, help_text=_("Your own app: no consent is asked if its identity is proven.")
    )
    introspects = models.CharField(
        _("may introspect"), max_length=12, choices=Introspects.choices, default=Introspects.OWN
    )
    token_format = models.CharField(
        _("access token format"),
        max_length=12,
        choices=[(OPAQUE, _("Opaque: only this server can read it")), *SigningKey.Algorithm.choices],
        default=OPAQUE,
        help_text=_("Opaque, or a JWT of this signature, for APIs that can't ask this server's database."),
    )
    resources = models.TextField(_("resources"), blank=True)
    web_origins = models.TextField(_("web origins"), blank=True)
    client_uri = models.CharField(_("home page"), max_length=500, blank=True, validators=[_https_url])
    policy_uri = models.CharField(_("privacy policy"), max_length=500, blank=True, validators=[_https_url])
    tos_uri = models.CharField(_("terms of service"), max_length=500, blank=True, validators=[_https_url])
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    service_user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    disabled_at = models.DateTimeField(_("disabled"), null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text=_("For your project's own use."))

    objects = Primary()

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")

    def __str__(self) -> str:
        return self.name or self.client_id

    @property
    def is_confidential(self) -> bool:
        return self.type == self.Type.CONFIDENTIAL

    @property
    def scopes(self) -> tuple[str, ...]:
        return parse_scope(self.scope)

    @property
    def default_scopes(self) -> tuple[str, ...]:
        return parse_scope(self.default_scope)

    def may_use(self, grant_type: str) -> bool:
        return grant_type in self.grant_types.split()


class RedirectURI(PrimaryModel):
    """One registered redirect URI; it is compared in Python, byte by byte, whatever the database's collation."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="redirect_uris")
    uri = models.CharField(max_length=2000)

    objects = Primary()

    class Meta:
        verbose_name = _("redirect URI")
        verbose_name_plural = _("redirect URIs")

    def __str__(self) -> str:
        return self.uri


class ClientSecret(PrimaryModel):
    """The digest of a client's secret. A client may have several that work at once, so that one can be replaced."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="secrets")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    digest = DigestField(unique=True, editable=False)

    objects = Primary()

    class Meta:
        verbose_name = _("client secret")
        verbose_name_plural = _("client secrets")

    def __str__(self) -> str:
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.digest)


class Consent(PrimaryModel):
    """What a user allowed a client, whatever has become of the tokens since."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    client = models.ForeignKey(Client, models.CASCADE, related_name="consents")
    created_at = models.DateTimeField(_("given"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    scope = models.TextField(_("scopes"))
    resource = models.TextField(_("resources"), default="", blank=True)

    objects = Primary()

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [models.UniqueConstraint(fields=["user", "client"], name="pkce_auth_one_consent")]

    def __str__(self) -> str:
        return f"{self.client_id} · {' '.join(self.scopes)}"

    @property
    def remembered(self) -> Remembered:
        return Remembered(self.scope, self.resource)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that was allowed at any resource."""
        return self.remembered.scopes


class TokenFamily(PrimaryModel):
    """Everything that one authorization gave; to revoke it is one UPDATE of this row, whatever it holds."""

    class Reason(models.TextChoices):
        REPLAY = "replay", _("An authorization code was used twice")
        REUSE = "reuse", _("A refresh token was used again")
        CLIENT = "client", _("The client revoked it")
        USER = "user", _("The user withdrew access")
        ADMIN = "admin", _("An administrator revoked it")

    client = models.ForeignKey(Client, models.CASCADE, related_name="families")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    revoked_reason = models.CharField(_("reason"), max_length=12, choices=Reason.choices, null=True, blank=True)
    scope = models.TextField(_("scopes"))
    resource = models.TextField(_("resources"), null=True, blank=True)
    # Whether a retry left two refresh tokens of one generation; NULL where that was not noted.
    has_siblings = models.BooleanField(null=True, editable=False)

    objects = Primary()

    class Meta:
        verbose_name = _("token family")
        verbose_name_plural = _("token families")

    def __str__(self) -> str:
        return f"{self.pk}"

    @property
    def scopes(self) -> tuple[str, ...]:
        return parse_scope(self.scope)

    @property
    def resources(self) -> tuple[str, ...]:
        """The identifiers that its tokens are bound to (RFC 8707); none: this project itself."""
        return identifiers(self.resource)

    def is_live(self, now: datetime) -> bool:
        """True unless family, client or user ended it; reads what was joined and makes no query of its own."""
        return is_live(
            now,
            revoked_at=self.revoked_at,
            expires_at=self.expires_at,
            disabled_at=self.client.disabled_at,
            who=self.user or self.client.service_user,
        )


class AuthorizationCode(PrimaryModel):
    """A code between approval and redemption. ``family`` is NULL until it is redeemed: filling it is the claim."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    family = models.ForeignKey(TokenFamily, models.CASCADE, null=True, related_name="codes", db_constraint=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    digest = DigestField(primary_key=True)
    code_challenge = models.CharField(max_length=43)
    scope = models.TextField()
    resource = models.TextField(null=True)
    redirect_uri = models.TextField()

    objects = Primary()

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")

    def __str__(self) -> str:
        return fingerprint(self.digest)

    @property
    def resources(self) -> tuple[str, ...]:
        return identifiers(self.resource)


class DeviceCode(PrimaryModel):
    """A device that waits for its user (RFC 8628). ``family`` is NULL until it is redeemed, as with a code."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    family = models.ForeignKey(TokenFamily, models.CASCADE, null=True, related_name="device_codes", db_constraint=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    polled_at = models.DateTimeField(null=True)
    approved_at = models.DateTimeField(null=True)
    denied_at = models.DateTimeField(null=True)
    interval = models.IntegerField()
    digest = DigestField(primary_key=True)
    user_code_digest = DigestField(unique=True)
    scope = models.TextField()
    resource = models.TextField(null=True)

    objects = Primary()

    class Meta:
        verbose_name = _("device code")
        verbose_name_plural = _("device codes")

    def __str__(self) -> str:
        return fingerprint(self.digest)

    @property
    def resources(self) -> tuple[str, ...]:
        return identifiers(self.resource)


class AccessToken(PrimaryModel):
    """An access token; ``scope`` and ``resource`` are NULL where they are the family's."""

    family = models.ForeignKey(TokenFamily, models.CASCADE, related_name="access_tokens", db_constraint=False)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    digest = DigestField(primary_key=True)
    scope = models.TextField(_("scopes"), null=True)
    resource = models.TextField(_("resources"), null=True)

    objects = Primary()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")

    def __str__(self) -> str:
        return fingerprint(self.digest)

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.family.scopes if self.scope is None else parse_scope(self.scope)

    @property
    def resources(self) -> tuple[str, ...]:
        return self.family.resources if self.resource is None else identifiers(self.resource)

    def is_live(self, now: datetime) -> bool:
        return now < self.expires_at and self.family.is_live(now)


class RefreshToken(PrimaryModel):
    """A refresh token. Generation n is superseded by n + 1; ``retries`` counts the siblings made for lost answers."""

    # The index below begins with the family and serves the foreign key as well.
    family = models.ForeignKey(
        TokenFamily, models.CASCADE, related_name="refresh_tokens", db_index=False, db_constraint=False
    )
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    superseded_at = models.DateTimeField(_("superseded"), null=True)
    generation = models.IntegerField()
    retries = models.SmallIntegerField(default=0)
    digest = DigestField(primary_key=True)

    objects = Primary()

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")
        indexes = [models.Index(fields=["family", "generation"], name="pkce_auth_generation")]

    def __str__(self) -> str:
        return fingerprint(self.digest)

    def is_live(self, now: datetime) -> bool:
        return self.superseded_at is None and now < self.expires_at and self.family.is_live(now)
