"""``python -m benchmarks.started with|without``: start a project as a server does, and print what that took.

Three figures at ``django.setup()``'s end and three when the URLs are loaded as well, which the first request does:
seconds of CPU since the process began, its memory in megabytes, and how many modules it has. A process of its own, as
nothing else may be imported here.
"""

import resource
import sys
from pathlib import Path
from types import ModuleType

import django
from django.conf import settings

APPS = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


def main(has_app: bool) -> None:
    settings.configure(
        SECRET_KEY="for benchmarks only",
        USE_TZ=True,
        ROOT_URLCONF="site_urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in APPS), *(["django_pkce_auth"] if has_app else [])],
        MIDDLEWARE=MIDDLEWARE,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        STATIC_URL="/static/",
        PKCE_AUTH={"ISSUER": "https://server.example", "SCOPES": {"read": "Read your data"}},
    )
    django.setup()
    figures = _figures()
    _load_urls(has_app)
    print(*figures, *_figures())


def _load_urls(has_app: bool) -> None:
    from django.contrib import admin
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver, include, path

    urls = ModuleType("site_urls")
    sys.modules["site_urls"] = urls
    patterns = [path("admin/", admin.site.urls), *([path("", include("django_pkce_auth.urls"))] if has_app else [])]
    vars(urls)["urlpatterns"] = patterns
    get_wsgi_application()
    assert len(get_resolver().url_patterns) == len(patterns)  # noqa: S101


def _figures() -> tuple[float, float, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss, in which the process that started this one has a share.
    status = Path("/proc/self/status").read_text()
    memory = int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
    return used.ru_utime + used.ru_stime, memory / 1024, len(sys.modules)


if __name__ == "__main__":
    main(sys.argv[1] == "with")
