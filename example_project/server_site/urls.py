from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from . import docs, views
from .albums import AlbumViewSet
from .orders import api as orders

urlpatterns = [
    path("", views.home, name="home"),
    path("log-in/", LoginView.as_view(), name="log_in"),
    path("log-out/", LogoutView.as_view(), name="log_out"),
    path("admin/", admin.site.urls),
    path("api/me", views.me),
    path("api/photos", views.photos),
    path("api/photos/<slug:name>.png", views.picture, name="picture"),
    path("api/calendar", views.calendar),
    path("api/albums", AlbumViewSet.as_view({"get": "list"})),
    path("api/albums/mine", AlbumViewSet.as_view({"get": "mine"})),
    path("api/orders/", orders.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", docs.ApiDocs.as_view(), name="docs"),
    path("api/docs/back", docs.back_from_authorize),
    path("", include("django_pkce_auth.urls")),
]
