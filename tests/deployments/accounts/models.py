"""User models with keys of other kinds than a number, and of relations."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

# Generic for the type checker alone.
CharField = models.CharField[Any, Any] if TYPE_CHECKING else models.CharField


class UUIDUser(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.CharField(max_length=100, unique=True)
    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    class Meta:
        # As joined tables are called in a statement.
        db_table = "t1"

    def __str__(self) -> str:
        return self.email


class NamedUser(AbstractBaseUser):
    uid = models.CharField(primary_key=True, max_length=40)
    USERNAME_FIELD = "uid"
    objects = BaseUserManager()

    class Meta:
        # As between a joined table and its condition.
        db_table = "people ON board"

    def __str__(self) -> str:
        return self.uid


class Party(models.Model):
    """Whom a project deals with, whether they log in or not."""

    party_number = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=40, unique=True)

    def __str__(self) -> str:
        return self.name


class PartyUser(Party, AbstractBaseUser):
    """The key is the link to the parent's row, which holds the name too."""

    USERNAME_FIELD = "name"
    objects = BaseUserManager()


class MemberUser(Party, AbstractBaseUser):
    """The parent's row has another key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    party = models.OneToOneField(Party, models.CASCADE, parent_link=True)
    USERNAME_FIELD = "name"
    objects = BaseUserManager()


class PersonUser(AbstractBaseUser):
    """The key is a relation, and no part of the row is elsewhere."""

    party = models.OneToOneField(Party, models.CASCADE, primary_key=True)
    email = models.CharField(max_length=100, unique=True)
    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.party_id is None:
            self.party = Party.objects.create(name=self.email)
        super().save(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Key:
    text: str

    def __str__(self) -> str:
        return self.text


def draw_key() -> Key:
    return Key(uuid.uuid4().hex)


class KeyField(CharField):
    """A value of one's own, by the methods that Django's documentation on custom fields names, and no other."""

    def from_db_value(self, value: Any, *_: object) -> Key | None:
        return None if value is None else Key(value)

    def to_python(self, value: Any) -> Key | None:
        return value if value is None or isinstance(value, Key) else Key(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)


class KeyUser(AbstractBaseUser):
    id = KeyField(primary_key=True, max_length=40, default=draw_key)
    email = models.CharField(max_length=100, unique=True)
    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.email
