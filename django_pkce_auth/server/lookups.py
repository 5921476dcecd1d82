"""What programs present, looked up with all that decides about it: one statement each, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import models, router
from django.db.models import F, FilteredRelation, OuterRef, Q, Subquery

from ..compiled import Row, Select, columns_but
from ..instances import is_plain
from ..reading import Lookup, read
from ..secrets import REFRESH_TOKEN, digest, same
from ..statement import Slot
from .models import AccessToken, AuthorizationCode, Client, Consent, DeviceCode, RefreshToken
from .remembered import Remembered

USE_NOTED_EVERY = timedelta(hours=1)
FIRST_USE_NOTED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A row of ClientSecret, as it was joined to its client."""

    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def use_is_due(self, now: datetime) -> bool:
        """True where a use at ``now`` is to be noted: at most once an hour, so nearly every request writes nothing.

        The first use is noted unless it follows at once on the registration.
        """
        if self.last_used_at is None:
            return now - self.created_at > FIRST_USE_NOTED_AFTER
        return now - self.last_used_at > USE_NOTED_EVERY


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client with its secrets, read in one query."""

    client: Client
    secrets: tuple[StoredSecret, ...] = field(repr=False)

    @classmethod
    def of(cls, client: Client, columns: Iterable[Sequence[Any]]) -> KnownClient:
        """Return the client that the ``columns`` of secrets were joined to: one without any where it has none."""
        return cls(client, tuple(StoredSecret(*each) for each in columns if each and each[0] is not None))

    def matching_secret(self, raw: str, now: datetime) -> StoredSecret | None:
        """Return the secret that ``raw`` is, if it is still valid."""
        presented = digest(raw)
        # Every stored digest is compared, so the time taken tells nothing about which one matched.
        matches = [stored for stored in self.secrets if same(stored.digest, presented) & stored.is_valid(now)]
        return matches[0] if matches else None


@dataclass(frozen=True, slots=True)
class AskingClient:
    """A client with its redirect URIs, and what one user allowed it before, read in one query."""

    client: Client
    redirect_uris: tuple[str, ...]
    remembered: Remembered


def _selects(
    queryset: Callable[[], models.QuerySet[Any]],
    client: str,
    *,
    instances: Sequence[str],
    rare: Sequence[str],
    user: str = "",
) -> dict[bool, Select]:
    """Return what finds a client's rows, with (True) and without the columns of its secrets.

    A request that presents no secret needs none of them. The ``rare`` columns are read when somebody asks for them, and
    so is all of the ``user`` but what decides.
    """
    secrets = [f"{client}secrets__{column}" for column in ("digest", "created_at", "expires_at", "last_used_at")]
    scalars = {user: "user_is_active"}

    def lean() -> models.QuerySet[Any]:
        found, model = queryset().defer(*rare), get_user_model()
        if not user or not is_plain(model) or all(field.name != "is_active" for field in model._meta.concrete_fields):
            return found
        return _with_column(found, user, "is_active", name="user_is_active")

    return {
        False: Select(lean, instances=instances, scalars=scalars),
        True: Select(lean, values=secrets, instances=instances, scalars=scalars),
    }


def _with_column(found: models.QuerySet[Any], user: str, column: str, *, name: str) -> models.QuerySet[Any]:
    """Read one column of a user as ``name``, and not by a join, which PostgreSQL plans for a third of the whole."""
    model: Any = get_user_model()
    # No manager's: a join would ask none either, and one that leaves users out must not decide here.
    read = Subquery(models.QuerySet(model).filter(pk=OuterRef(user)).values(column))
    lean: models.QuerySet[Any] = found.defer(*columns_but(user, model, [column])).annotate(**{name: read})
    return lean


# Of a client: what no request of a program needs, and what none needs that presents what was granted.
_RARE: Final = (
    "web_origins",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "registered_by",
    "created_at",
    "verified_at",
    "metadata",
)
_NOT_GRANTED: Final = ("default_scope", "first_party", "introspects", "service_user")


def _granted(client: str, *own: str) -> list[str]:
    return [*(f"{client}{column}" for column in (*_RARE, *_NOT_GRANTED)), *own]


def _by_digest(model: type[models.Model]) -> models.QuerySet[Any]:
    return model._default_manager.filter(digest=Slot(model, "digest"))


def _asking() -> models.QuerySet[Any]:
    given = FilteredRelation("consents", condition=Q(consents__user=Slot(Consent, "user")))
    clients = Client.objects.filter(client_id=Slot(Client, "client_id")).annotate(consent=given)
    found: models.QuerySet[Any] = clients.annotate(
        consented_scope=F("consent__scope"), consented_resource=F("consent__resource")
    )
    return found


_OWNERS: Final = ("", "family", "family__client", "family__user")
_CLIENT = _selects(lambda: Client.objects.filter(client_id=Slot(Client, "client_id")), "", instances=[""], rare=_RARE)


def _shown() -> models.QuerySet[Any]:
    """The page says who registered a client, by name."""
    user: Any = get_user_model()
    return _with_column(_asking(), "registered_by", user.USERNAME_FIELD, name="registered_by_name")


_ASKED = ["redirect_uris__uri", "consented_scope", "consented_resource"]
_ASKING = {
    True: Select(
        _shown, values=_ASKED, instances=["", "registered_by"], scalars={"registered_by": "registered_by_name"}
    ),
    False: Select(lambda: _asking().defer(*_RARE), values=_ASKED, instances=[""]),
}
_CODE, _DEVICE_CODE = (
    _selects(
        partial(_by_digest, model),
        "client__",
        instances=["", "client", "user"],
        rare=_granted("client__", "created_at"),
        user="user",
    )
    for model in (AuthorizationCode, DeviceCode)
)
_REFRESH_TOKEN = _selects(
    partial(_by_digest, RefreshToken),
    "family__client__",
    instances=_OWNERS,
    rare=_granted("family__client__", "created_at", "family__created_at", "family__revoked_reason"),
    user="family__user",
)
_TOKENS = {
    model: Select(partial(_by_digest, model), instances=[*_OWNERS, "family__client__service_user"])
    for model in (AccessToken, RefreshToken)
}


def find_client(client_id: str, *, secrets: bool = True) -> KnownClient | None:
    """Return the client of exactly this identifier, or None; without its ``secrets`` where none was presented."""
    return _known(client_id, _CLIENT[secrets].rows(router.db_for_write(Client), client_id=client_id))


def find_client_and(lookup: Lookup, client_id: str) -> tuple[KnownClient | None, Callable[[], list[Row]]]:
    """Return the client with its secrets, and what returns what it asks about; one statement where that pays."""
    rows, asked = read(router.db_for_write(Client), (_CLIENT[True], {"client_id": client_id}), lookup)
    return _known(client_id, rows), asked


def _known(client_id: str, rows: Sequence[Row]) -> KnownClient | None:
    if not rows:
        return None
    client = rows[0].instance("")
    # Some databases compare text without regard to case; an identifier is equal or it is another one.
    return KnownClient.of(client, (row.values for row in rows)) if client.client_id == client_id else None


def find_asking_client(client_id: str, *, user: Any, shown: bool) -> AskingClient | None:
    """Return the client that an authorization request names, or None; ``user`` is None for a visitor.

    Where no page about it is to be ``shown``, what only that needs is left out.
    """
    key = None if user is None else user.pk
    rows = _ASKING[shown].rows(router.db_for_write(Client), client_id=client_id, user=key)
    if not rows:
        return None
    client, found = rows[0].instance(""), [row.values for row in rows]
    if client.client_id != client_id:
        return None
    _, scope, resource = found[0]
    uris = tuple(uri for uri, *_ in found if uri is not None)
    return AskingClient(client, uris, Remembered(scope or "", resource or ""))


def find_code(raw: str, *, secrets: bool) -> tuple[AuthorizationCode, KnownClient] | tuple[None, None]:
    """Return the code with its user and its client, whose secrets are read along if asked for, or nothing."""
    return _redeemable(_CODE[secrets].rows(router.db_for_write(AuthorizationCode), digest=digest(raw)))


def find_device_code(raw: str, *, secrets: bool) -> tuple[DeviceCode, KnownClient] | tuple[None, None]:
    """Return the device code with its user and its client, as with a code."""
    return _redeemable(_DEVICE_CODE[secrets].rows(router.db_for_write(DeviceCode), digest=digest(raw)))


def find_refresh_token(raw: str, *, secrets: bool) -> tuple[RefreshToken, KnownClient] | tuple[None, None]:
    """Return the token with its family, user and client, as with a code."""
    rows = _REFRESH_TOKEN[secrets].rows(router.db_for_write(RefreshToken), digest=digest(raw))
    if not rows:
        return None, None
    token = rows[0].instance("")
    return token, KnownClient.of(token.family.client, (row.values for row in rows))


def find_token(raw: str) -> AccessToken | RefreshToken | None:
    """Return the token with its family, client and user, or None; our prefix tells the kind, so no hint is needed."""
    model: Any = RefreshToken if raw.startswith(REFRESH_TOKEN) else AccessToken
    rows = _TOKENS[model].rows(router.db_for_write(model), digest=digest(raw))
    found: AccessToken | RefreshToken | None = rows[0].instance("") if rows else None
    return found


def _redeemable(rows: Sequence[Row]) -> tuple[Any, KnownClient] | tuple[None, None]:
    if not rows:
        return None, None
    found = rows[0].instance("")
    return found, KnownClient.of(found.client, (row.values for row in rows))
