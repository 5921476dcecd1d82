"""The tables of the floor. The views read and write them by SQL of their own."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Client(models.Model):
    client_id = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=200)
    secret_digest = models.BinaryField(max_length=32, null=True)
    redirect_uri = models.TextField()
    scope = models.TextField()
    disabled_at = models.DateTimeField(null=True)


class Consent(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    client = models.ForeignKey(Client, models.CASCADE)
    scope = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "client"], name="floor_one_consent")]


class Family(models.Model):
    client = models.ForeignKey(Client, models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    scope = models.TextField()


class Code(models.Model):
    digest = models.BinaryField(max_length=32, primary_key=True)
    client = models.ForeignKey(Client, models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    family = models.ForeignKey(Family, models.CASCADE, null=True)
    expires_at = models.DateTimeField(db_index=True)
    code_challenge = models.CharField(max_length=43)
    redirect_uri = models.TextField()
    scope = models.TextField()


class AccessToken(models.Model):
    digest = models.BinaryField(max_length=32, primary_key=True)
    family = models.ForeignKey(Family, models.CASCADE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)


class RefreshToken(models.Model):
    digest = models.BinaryField(max_length=32, primary_key=True)
    family = models.ForeignKey(Family, models.CASCADE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    superseded_at = models.DateTimeField(null=True)
