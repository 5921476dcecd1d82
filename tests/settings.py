"""The default test run: SQLite, both roles in one process."""

import os

SECRET_KEY = "test-only"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    # For tests.second_database alone.
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "TEST": {"DEPENDENCIES": []}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_pkce_auth",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_pkce_auth.client.browser.ConnectLinkMiddleware",
]
ROOT_URLCONF = "tests.urls"
LOGIN_URL = "/login/"
STATIC_URL = "/static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [os.path.join(os.path.dirname(__file__), "templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PKCE_AUTH = {
    "ISSUER": "https://testserver",
    "SCOPES": {"read": "Read your data", "write": "Change your data", "profile": "See who you are"},
    "ENCRYPTION_KEYS": ["zrt9ZbTGWmAhhQ-HWcOcHKQzrIM3d2LZ6Mr0nYpYVcU="],
    "PROVIDERS": {
        "acme": {
            "name": "Acme",
            "issuer": "https://acme.example",
            "authorize_url": "https://acme.example/oauth/authorize",
            "token_url": "https://acme.example/oauth/token",
            "userinfo_url": "https://acme.example/api/me",
            "client_id": "us-at-acme",
            "client_secret": "a-secret-that-acme-gave-to-us-0123456789",
            "scopes": ["photos", "profile"],
            "login": True,
            "create_users": True,
        },
    },
}
