from django.urls import path

from . import views

urlpatterns = [
    path("api/me", views.me),
    path("oauth/authorize", views.authorize),
    path("oauth/token", views.token),
    path("oauth/introspect", views.introspect),
]
