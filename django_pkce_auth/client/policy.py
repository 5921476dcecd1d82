"""What a project may decide for itself on the client side; ``PKCE_AUTH["CLIENT_POLICY"]`` names a subclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import NOT_PROVIDED, EmailField

from ..secrets import generate
from ..transport import HttpTransport, Transport

if TYPE_CHECKING:
    from .providers import Provider


# OpenID Connect's claims (Core §5.1), then what GitHub, Discord, GitLab and Spotify say in their place. What is unique
# at a provider goes first, so that people can tell their accounts apart.
LABELS = ("preferred_username", "login", "username", "nickname", "display_name", "name", "email")
PICTURES = ("picture", "avatar_url")


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
        """Read an account from the userinfo answer (OpenID Connect's ``sub``; ``id`` where a provider has none).

        A subject is 1 to 255 printable characters or an integer; anything else counts as none. Label and picture are
        the first of ``LABELS`` and ``PICTURES`` that is there.
        """
        labels = (_readable(userinfo.get(key)) for key in LABELS)
        pictures = (_readable(userinfo.get(key)) for key in PICTURES)
        picture = next((picture for picture in pictures if picture), "")
        return Account(
            subject=_subject(userinfo.get("sub", userinfo.get("id"))),
            label=next((label for label in labels if label), "")[:255],
            picture_url=picture if picture.startswith("https://") and len(picture) <= 2000 else "",
        )

    def create_user(self, provider: Provider, account: Account) -> Any:
        """Make the user for a first log-in; called only where the provider has ``create_users``.

        Raise ``LoginRefused`` of ``django_pkce_auth.client.errors``, with a text for the visitor, where there is to be
        none. ``account`` is what ``account`` above returned, so a subclass of ``Account`` brings more of the answer.
        The name is random: one that the provider reports, or that can be worked out from what it reports, may belong
        to another user here.
        """
        users = get_user_model()
        user = users(**{users.USERNAME_FIELD: f"{provider.slug}-{generate()[:16]}"})
        user.set_unusable_password()
        user.save(using=router.db_for_write(users))
        return user


def unfilled(users: Any) -> list[str]:
    """Return the fields of a user model that the default ``create_user`` has no right value for.

    A random name is no e-mail address; and what is unique, or takes no empty text, has to come from somewhere.
    """
    return [field.name for field in users._meta.concrete_fields if _is_unfilled(field, users.USERNAME_FIELD)]


def _is_unfilled(field: Any, username_field: str) -> bool:
    if field.name == username_field:
        return isinstance(field, EmailField)
    is_given = field.primary_key or field.null or field.has_default() or field.db_default is not NOT_PROVIDED
    if is_given or field.generated or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return False
    return bool(field.unique or not field.empty_strings_allowed)


def _subject(value: object) -> str | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 1 <= len(text) <= 255 and text.isprintable() else None


def _readable(value: object) -> str:
    """Return a text without what no page should show: controls, marks that turn the direction, lone surrogates.

    The two joiners stay; names in Persian or Hindi need them.
    """
    text = value if isinstance(value, str) else ""
    return "".join(char for char in text if char.isprintable() or char in "\u200c\u200d").strip()
