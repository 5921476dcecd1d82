"""What a project may decide for itself on the client side; ``PKCE_AUTH["CLIENT_POLICY"]`` names a subclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from ..secrets import digest
from ..transport import HttpTransport, Transport

if TYPE_CHECKING:
    from .providers import Provider


@dataclass(frozen=True, slots=True)
class Account:
    """The account at the provider. ``subject`` identifies it for good; the rest is for people to read."""

    subject: str | None
    label: str = ""
    picture_url: str = ""


class ClientPolicy:
    """The defaults: an account is who the provider's ``subject`` says, and never matched by e-mail address."""

    def transport(self) -> Transport:
        """Return how other servers are reached."""
        return HttpTransport()

    def account(self, provider: Provider, userinfo: Mapping[str, Any]) -> Account:
        """Read an account from the userinfo answer (OpenID Connect's ``sub``; ``id`` where a provider has none)."""
        subject = userinfo.get("sub", userinfo.get("id"))
        usable = isinstance(subject, str | int) and not isinstance(subject, bool) and str(subject)
        labels = (userinfo.get(key) for key in ("preferred_username", "login", "name", "email"))
        picture = userinfo.get("picture")
        return Account(
            subject=str(subject) if usable else None,
            label=next((label for label in labels if isinstance(label, str) and label), "")[:255],
            picture_url=picture if isinstance(picture, str) and picture.startswith("https://") else "",
        )

    def create_user(self, provider: Provider, account: Account) -> Any:
        """Make the user for a first log-in; called only where the provider has ``create_users``.

        The name is made from provider and subject, as any name that the provider reports may belong to another here.
        """
        users = get_user_model()
        unique = digest(f"{provider.slug}\0{provider.issuer}\0{account.subject}").hex()[:16]
        user = users._default_manager.create(**{users.USERNAME_FIELD: f"{provider.slug}-{unique}"})
        user.set_unusable_password()
        user.save()
        return user
