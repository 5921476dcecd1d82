from __future__ import annotations

from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home),
    path("api/prices", views.prices),
    # What a resource server publishes of itself (RFC 9728).
    path("", include("django_pkce_auth.resource.urls")),
]
