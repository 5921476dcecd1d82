"""manage.py pkce_doctor [--json]"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any, Final

from django.core.checks import WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, router
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from ... import conf
from ...client.registry import all_entries
from ...server.models import TokenFamily
from ...server.views.metadata import ENDPOINTS
from .pkce_purge import TABLES

COUNTED: Final = 100_000
"""Expired rows are counted up to here: more than that only says that pkce_purge has not run."""


class Command(BaseCommand):
    """What somebody who sets this up, or looks for a fault, wants to see on one page."""

    help = "Print the issuer, its endpoints, the redirect URIs to register, what is misconfigured, and what waits."
    requires_system_checks: Any = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        problems = _problems()
        report: dict[str, Any] = {"problems": problems}
        try:
            # Those first that need the least: what can be known is shown although the rest can't be.
            for facts in (_addresses, _redirect_uris, _expired):
                report |= facts(conf.settings())
        except ImproperlyConfigured:
            pass  # what is wrong with the settings stands among the problems
        except DatabaseError as error:
            problems.append(f"The database can't be read ({type(error).__name__}); run manage.py migrate.")
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self._print(report)
        if problems:
            raise CommandError(f"{len(problems)} to mend.")

    def _print(self, report: dict[str, Any]) -> None:
        for title in ("issuer", "endpoints", "redirect_uris", "expired"):
            value = report.get(title)
            if isinstance(value, dict):
                self.stdout.write(f"{title.replace('_', ' ')}:")
                for name, shown in value.items():
                    self.stdout.write(f"  {name:32} {shown}")
            elif value:
                self.stdout.write(f"{title}: {value}")
        for problem in report["problems"]:
            self.stdout.write(self.style.ERROR(problem))
        if not report["problems"]:
            self.stdout.write(self.style.SUCCESS("Nothing to mend."))


def _addresses(settings: conf.Settings) -> dict[str, Any]:
    urls = {member: _url(settings, name) for member, name in ENDPOINTS.items()}
    return {"issuer": settings.issuer, "endpoints": {member: url for member, url in urls.items() if url}}


def _redirect_uris(settings: conf.Settings) -> dict[str, Any]:
    urls = {slug: _url(settings, "callback", slug) for slug in all_entries(settings=settings)}
    return {"redirect_uris": {slug: url for slug, url in urls.items() if url}}


def _url(settings: conf.Settings, name: str, *arguments: str) -> str | None:
    """Return the address, or None: a project may leave an endpoint out of its URLconf."""
    try:
        return settings.absolute(reverse(f"pkce_auth:{name}", args=arguments))
    except NoReverseMatch:
        return None


def _expired(settings: conf.Settings) -> dict[str, Any]:
    now = timezone.now()
    waiting = {table.name: table.waiting(limit=COUNTED, now=now) for table in TABLES}
    return {"expired": {name: rows if rows < COUNTED else f"{COUNTED:,} or more" for name, rows in waiting.items()}}


def _problems() -> list[str]:
    """Return our own checks' messages, those of a deployment and of the database among them."""
    found = run_checks(tags=["pkce_auth"], include_deployment_checks=True, databases=[router.db_for_write(TokenFamily)])
    return [f"{each.id}: {each.msg} {each.hint or ''}".strip() for each in found if each.level >= WARNING]
