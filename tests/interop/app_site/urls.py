from __future__ import annotations

from django.urls import include, path

from tests.interop.app_site import views

urlpatterns = [
    path("stored/<slug:provider>/", views.stored),
    path("used/<slug:provider>/", views.used),
    path("refreshed/<slug:provider>/", views.refreshed),
    path("", include("example_project.app_site.urls")),
]
