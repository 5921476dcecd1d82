"""Other servers may take their time: here they share a machine with whatever else is tested."""

from __future__ import annotations

from django_pkce_auth.client.policy import ClientPolicy
from django_pkce_auth.transport import HttpTransport


class Patient(ClientPolicy):
    def transport(self) -> HttpTransport:
        return HttpTransport(deadline=30)
