"""PyPI django-oauth-toolkit: https://django-oauth-toolkit.readthedocs.io/

An authorization server for the client side to meet: a Django project in one file, in a virtual environment of its own,
where nothing of ours is installed. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
from threading import Thread

import django
from django.conf import settings

SETUP = json.loads(os.environ["INTEROP_TOOLKIT"])
LOGIN = "<form method=post>{% csrf_token %}{{ form }}<button id=log-in>Log in</button></form>"

settings.configure(
    SECRET_KEY=SETUP["key"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": SETUP["database"]}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"login.html": LOGIN}),
                    "django.template.loaders.app_directories.Loader",
                ],
                "context_processors": ["django.template.context_processors.request"],
            },
        }
    ],
    LOGIN_URL="/log-in/",
    SESSION_COOKIE_NAME="toolkit_session",
    CSRF_COOKIE_NAME="toolkit_csrf",
    USE_TZ=True,
    # It looks at a client's secret by this, too, and the usual one takes seconds on a slow machine.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Read", "write": "Write", "introspection": "Introspect"},
        "PKCE_REQUIRED": True,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "OIDC_ISS_ENDPOINT": SETUP["issuer"],
        "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
        "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    },
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.decorators import protected_resource  # noqa: E402
from oauth2_provider.views import OAuthServerMetadataView  # noqa: E402


@protected_resource(scopes=["read"])
def me(request: HttpRequest) -> JsonResponse:
    owner = request.resource_owner
    return JsonResponse({"id": owner.pk, "name": f"{owner.username} of the toolkit"})


urlpatterns = [
    path("log-in/", LoginView.as_view(template_name="login.html")),
    path("o/", include("oauth2_provider.urls")),
    path(".well-known/oauth-authorization-server", OAuthServerMetadataView.as_view()),
    path("api/me", me),
]


def populate() -> None:
    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user(SETUP["user"], password=SETUP["password"])
    for client in SETUP["clients"]:
        call_command(
            "createapplication",
            *("confidential", "authorization-code", "--user", str(user.pk), "--name", "Postcards"),
            # With "=", because a secret may begin with "-".
            *(f"--client-id={client['client_id']}", f"--client-secret={client['client_secret']}"),
            *("--redirect-uris", client["redirect_uri"]),
        )


def serve(port: int) -> None:
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    Thread(target=lambda: (sys.stdin.buffer.read(), server.shutdown()), daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    populate()
    serve(int(sys.argv[1]))
