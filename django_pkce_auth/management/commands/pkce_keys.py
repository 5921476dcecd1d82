"""manage.py pkce_keys list|add|rotate|retire"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ... import conf
from ...server.keys import add_key, retire_key, rotate_key
from ...server.signing_key import SigningKey


class Command(BaseCommand):
    help = "Manage the keys that sign JWT access tokens; the public ones are published at /oauth/jwks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|add|rotate|retire")
        listing = actions.add_parser("list", help="List the keys, with what each does and until when.")
        added = actions.add_parser("add", help="Make the first key of an algorithm; it signs at once.")
        rotated = actions.add_parser("rotate", help="Publish a new key, which takes over when everybody can know it.")
        retired = actions.add_parser("retire", help="Let a key sign nothing any more.")
        for action in (added, rotated):
            action.add_argument("--algorithm", choices=SigningKey.Algorithm.values, default="ES256", help="ES256.")
        retired.add_argument("kid")
        retired.add_argument(
            "--compromised", action="store_true", help="Also take it out of the published keys at once."
        )
        for action in (listing, added, rotated, retired):
            action.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            keys = getattr(self, f"_{action}")(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        rows = [_describe(key) for key in keys]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            self.stdout.write(" ".join(f"{name}={value}" for name, value in row.items() if value))
        if not rows:
            self.stdout.write("There is no key: manage.py pkce_keys add makes one.")
        if options.get("compromised"):
            self.stdout.write(
                self.style.WARNING(
                    "Servers that keep the published keys take tokens signed by it for up to an hour more. Revoke what "
                    "you can: this project's own guards refuse every token that it did not issue itself."
                )
            )

    def _list(self, options: dict[str, Any]) -> list[SigningKey]:
        return list(SigningKey.objects.primary().order_by("algorithm", "-pk"))

    def _add(self, options: dict[str, Any]) -> list[SigningKey]:
        return [add_key(options["algorithm"], settings=conf.settings(), now=timezone.now())]

    def _rotate(self, options: dict[str, Any]) -> list[SigningKey]:
        return [rotate_key(options["algorithm"], settings=conf.settings(), now=timezone.now())]

    def _retire(self, options: dict[str, Any]) -> list[SigningKey]:
        key = SigningKey.objects.primary().filter(kid=options["kid"]).first()
        if key is None or key.kid != options["kid"]:
            raise CommandError("There is no key of this ID; manage.py pkce_keys list shows them.")
        retire_key(key, compromised=options["compromised"], settings=conf.settings(), now=timezone.now())
        if SigningKey.objects.signing(key.algorithm, timezone.now()) is None:
            made = f"manage.py pkce_keys add --algorithm {key.algorithm} makes one that does at once"
            self.stderr.write(self.style.WARNING(f"No key signs {key.algorithm} now: {made}."))
        return [key]


def _describe(key: SigningKey) -> dict[str, str]:
    moments = ("active_at", "retires_at", "published_until")
    said = {name: getattr(key, name).isoformat(timespec="seconds") for name in moments if getattr(key, name)}
    return {"kid": key.kid, "algorithm": key.algorithm, "state": key.state(timezone.now()), **said}
