"""What happened, kept for as long as the project likes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """One thing that happened, if ``PKCE_AUTH["AUDIT"]`` is on. Only ever inserted; it outlives what it names."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    event = models.CharField(_("event"), max_length=40)
    client_id = models.CharField(_("client ID"), max_length=200, blank=True)
    user_id = models.CharField(_("user"), max_length=255, blank=True)
    family = models.BigIntegerField(_("token family"), null=True, blank=True)
    facts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event}"
