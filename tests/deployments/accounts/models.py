"""User models with keys of other kinds than a number."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class UUIDUser(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.CharField(max_length=100, unique=True)
    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.email


class NamedUser(AbstractBaseUser):
    uid = models.CharField(primary_key=True, max_length=40)
    USERNAME_FIELD = "uid"
    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.uid
