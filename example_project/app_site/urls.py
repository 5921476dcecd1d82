from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("log-in/", LoginView.as_view(), name="log_in"),
    path("log-out/", LogoutView.as_view(), name="log_out"),
    path("photos/", views.photos, name="photos"),
    path("apis/", views.apis, name="apis"),
    path("photos/refresh/", views.refresh, name="refresh"),
    path("photos/<slug:name>.png", views.picture, name="picture"),
    path("", include("django_pkce_auth.urls")),
]
