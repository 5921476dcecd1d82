"""Views that are imported with the first request for them are the views themselves to Django and to decorators."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.http import HttpRequest
from django.urls import get_resolver, resolve, reverse

from django_pkce_auth.later import LaterView
from django_pkce_auth.server.urls import urlpatterns

START = """
import sys, django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF="django_pkce_auth.urls", PKCE_AUTH={"ISSUER": "https://server.example"},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_pkce_auth"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
from django.urls import reverse
assert reverse("token") == "/oauth/token"
print(*(name for name in sys.modules if ".views" in name and "pkce" in name))
"""
SIGN_IN = """
from types import SimpleNamespace
from django.contrib.auth.signals import user_logged_in
request = SimpleNamespace(session={})
user_logged_in.send(sender=None, request=request, user=SimpleNamespace(save=lambda **columns: None))
print(*request.session)
"""


def test_start_imports_no_view() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_sign_in_is_noted_before_any_view_is_imported() -> None:
    """Or a client that asks for a fresh one would ask again, where another process has served that request."""
    done = subprocess.run([sys.executable, "-c", START + SIGN_IN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pkce_auth_signed_in_at"]


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: str(pattern.name))
def test_view_is_the_one_behind_its_name(pattern: Any) -> None:
    real = pattern.callback.view
    assert f"{real.__module__}.{real.__name__}" == pattern.lookup_str
    for noted in ("csrf_exempt", "_non_atomic_requests"):
        assert getattr(pattern.callback, noted, None) == getattr(real, noted, None)


def test_every_url_is_found_by_name_and_by_path() -> None:
    names = [pattern.name for pattern in urlpatterns]
    assert "token" in names
    assert resolve(reverse("pkce_auth:token")).func.csrf_exempt is True
    assert not hasattr(resolve(reverse("pkce_auth:authorize")).func, "csrf_exempt")
    assert get_resolver().resolve("/oauth/token").view_name == "pkce_auth:token"


def test_view_that_is_not_there_says_so() -> None:
    view = LaterView("django_pkce_auth.server.views.token.tokens")
    with pytest.raises(ImportError, match=r"server\.views\.token.*tokens"):
        view(HttpRequest())


def test_what_nobody_noted_is_not_there() -> None:
    view = LaterView("django_pkce_auth.server.views.token.token")
    assert not hasattr(view, "view_class")
    assert not hasattr(view, "__wrapped_elsewhere__")
    assert "view" not in vars(view)
    assert not hasattr(view, "no_such_note")
    assert view.csrf_exempt is True
