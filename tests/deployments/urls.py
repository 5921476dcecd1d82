from django.contrib.auth.views import LoginView
from django.urls import include, path

from tests import views

urlpatterns = [
    path("login/", LoginView.as_view(template_name="login.html")),
    path("api/read", views.read),
    path("api/async", views.read_async),
    path("", include("django_pkce_auth.urls")),
]
