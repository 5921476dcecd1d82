"""manage.py pkce_client create|list|add-secret|end-secret|add-redirect-uri|remove-redirect-uri|disable|apply"""

from __future__ import annotations

import json
import os
import tomllib
from argparse import ArgumentParser
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from ... import conf
from ...outages import persistently
from ...protocol.grant_types import AUTHORIZATION_CODE, GRANT_TYPES, REFRESH_TOKEN
from ...server.apply import apply_clients
from ...server.clients import (
    add_redirect_uri,
    add_secret,
    clean_grant_types,
    clean_new_client_id,
    clean_redirect_uris,
    clean_resources,
    clean_scope,
    clean_web_origins,
    end_secret,
    generate_client_id,
    remove_redirect_uri,
    set_redirect_uris,
)
from ...server.keys import ensure_key
from ...server.lookups import find_client
from ...server.models import OPAQUE, Client
from ...server.signing_key import SigningKey

FORMATS = (OPAQUE, *SigningKey.Algorithm.values)
ALL_OR_NOTHING: Final = ("create", "apply")
"""What writes in several steps. The others take one, or look after their steps themselves."""
ACTIONS: Final = "create|list|add-secret|end-secret|add-redirect-uri|remove-redirect-uri|disable|apply"
UNCHANGED: Final = {
    "apply": "Every client is as the file says",
    "end-secret": "The secret has ended already",
    "add-redirect-uri": "The redirect URI is registered already",
    "remove-redirect-uri": "The client has no such redirect URI",
}
MOST_HOURS: Final = 24 * 366


class Command(BaseCommand):
    help = "Register and manage OAuth clients of this authorization server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar=ACTIONS)
        create = actions.add_parser("create", help="Register a client; its secret is printed once.")
        create.add_argument("name", help="The name that people read when they are asked for access.")
        create.add_argument("--client-id", help="Generated if left out.")
        create.add_argument(
            "--public", action="store_true", help="Runs on the user's device or in a browser: no secret."
        )
        create.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="May be repeated.")
        create.add_argument(
            "--web-origin",
            action="append",
            default=[],
            metavar="ORIGIN",
            help="Pages there may read the token endpoint's answers (CORS): https://app.example; may be repeated.",
        )
        create.add_argument(
            "--scope", action="append", default=[], help="A scope that it may ask for; may be repeated."
        )
        create.add_argument(
            "--grant-type",
            action="append",
            choices=GRANT_TYPES,
            help="How it gets tokens; may be repeated. If left out: authorization_code and refresh_token.",
        )
        create.add_argument(
            "--resource", action="append", default=[], help="Bind its tokens to this resource only; may be repeated."
        )
        create.add_argument(
            "--token-format", choices=FORMATS, default=OPAQUE, help="opaque, or a JWT of this signature."
        )
        listing = actions.add_parser("list", help="List the clients; secrets are shown by fingerprint.")
        added = actions.add_parser("add-secret", help="Add a secret; those that the client has keep working.")
        ended = actions.add_parser("end-secret", help="Let a secret end, now or later; the others keep working.")
        more = actions.add_parser("add-redirect-uri", help="Register one more; again: no change.")
        fewer = actions.add_parser("remove-redirect-uri", help="Take one away; again: no change.")
        disabled = actions.add_parser("disable", help="End the client's access at once.")
        applied = actions.add_parser("apply", help="Make the clients as a TOML file says; again: no change.")
        applied.add_argument("file", help="Its [[client]] tables; secrets come from the variables they name.")
        for action in (added, ended, more, fewer, disabled):
            action.add_argument("client_id")
        ended.add_argument("fingerprint", help="Which secret: 12 digits, as list shows them.")
        ended.add_argument(
            "--in", type=float, default=0.0, metavar="HOURS", help="So many hours from now; if left out: at once."
        )
        for action in (more, fewer):
            action.add_argument("uri", help="To the character.")
        for action in (create, added):
            action.add_argument("--secret-env", metavar="VAR", help="Take a generated secret from this variable.")
        for action in (create, listing, added, ended, more, fewer, disabled, applied):
            action.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        work = partial(self._do, action, options)
        try:
            result = persistently(work)
        except IntegrityError:
            # Another process registered it since we looked: each server of a deployment may apply the same file.
            result = persistently(work)
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2))
            return
        rows = result if isinstance(result, list) else [result]
        for row in rows:
            self._print(row)
        if action in UNCHANGED and all(row["outcome"] == "unchanged" for row in rows):
            self.stdout.write(f"{UNCHANGED[action]}; nothing was changed.")

    def _do(self, action: str, options: dict[str, Any]) -> Any:
        whole = transaction.atomic(using=router.db_for_write(Client))
        try:
            with whole if action in ALL_OR_NOTHING else nullcontext():
                return getattr(self, "_" + action.replace("-", "_"))(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        public, client_id = options["public"], clean_new_client_id(options["client_id"] or generate_client_id())
        uris = clean_redirect_uris(options["redirect_uri"], public=public)
        if Client.objects.filter(client_id=client_id).exists():
            raise CommandError(f"There is a client {client_id} already; choose another --client-id.")
        if public and options["secret_env"]:
            raise CommandError("--secret-env is for confidential clients; a public client has no secret.")
        if not options["name"].isprintable():
            raise CommandError("The name holds a character that cannot be shown.")
        client = Client(
            client_id=client_id,
            name=options["name"],
            type=Client.Type.PUBLIC if public else Client.Type.CONFIDENTIAL,
            scope=clean_scope(options["scope"], conf.settings().scopes),
            token_format=options["token_format"],
            resources=clean_resources(options["resource"], conf.settings().resources),
            grant_types=clean_grant_types(options["grant_type"] or (AUTHORIZATION_CODE, REFRESH_TOKEN), public=public),
            web_origins=clean_web_origins(options["web_origin"]),
        )
        client.full_clean()
        client.save()
        set_redirect_uris(client, uris)
        ensure_key(client.token_format, settings=conf.settings(), now=timezone.now())
        secret = {} if public else self._secret(client, options)
        return self._describe(client) | secret

    def _list(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        clients = Client.objects.prefetch_related("redirect_uris", "secrets").order_by("name", "pk")
        return [self._describe(client) for client in clients]

    def _add_secret(self, options: dict[str, Any]) -> dict[str, Any]:
        client = self._client(options["client_id"])
        secret = self._secret(client, options)
        return self._describe(client) | secret

    def _end_secret(self, options: dict[str, Any]) -> dict[str, Any]:
        hours, now = options["in"], timezone.now()
        if not 0 <= hours <= MOST_HOURS:
            raise CommandError(f"--in takes a number of hours from 0 to {MOST_HOURS}.")
        client = self._client(options["client_id"])
        changed = end_secret(client, options["fingerprint"], at=now + timedelta(hours=hours), now=now)
        return self._describe(client) | _outcome(changed)

    def _add_redirect_uri(self, options: dict[str, Any]) -> dict[str, Any]:
        client = self._client(options["client_id"])
        changed = add_redirect_uri(client, options["uri"])
        return self._describe(client) | _outcome(changed)

    def _remove_redirect_uri(self, options: dict[str, Any]) -> dict[str, Any]:
        client = self._client(options["client_id"])
        changed = remove_redirect_uri(client, options["uri"])
        return self._describe(client) | _outcome(changed)

    def _disable(self, options: dict[str, Any]) -> dict[str, Any]:
        client = self._client(options["client_id"])
        if client.disabled_at is None:
            client.disabled_at = timezone.now()
            client.save(update_fields=["disabled_at"])
        return self._describe(client)

    def _apply(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            with open(options["file"], "rb") as file:
                document = tomllib.load(file)
        except OSError as error:
            raise CommandError(f"{options['file']} can't be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} is no TOML: {error}.") from None
        done = apply_clients(document, settings=conf.settings(), environ=os.environ, now=timezone.now())
        return [{"client_id": client_id, "outcome": outcome} for client_id, outcome in done]

    def _client(self, client_id: str) -> Client:
        known = find_client(client_id)
        if known is None:
            raise CommandError(f"There is no client {client_id}; manage.py pkce_client list shows them.")
        return known.client

    def _secret(self, client: Client, options: dict[str, Any]) -> dict[str, Any]:
        """Return the secret to print: only a generated one, as whoever provisioned one has it."""
        variable = options["secret_env"]
        if variable is None:
            return {"client_secret": add_secret(client, now=timezone.now())}
        if not os.environ.get(variable):
            raise CommandError(f"The environment variable {variable} is not set or empty.")
        add_secret(client, raw=os.environ[variable], now=timezone.now())
        return {}

    def _describe(self, client: Client) -> dict[str, Any]:
        secrets = sorted(client.secrets.all(), key=lambda row: (row.created_at, row.pk))
        return {
            "client_id": client.client_id,
            "name": client.name,
            "type": client.type,
            "grant_types": client.grant_types.split(),
            "scope": client.scope,
            "resources": client.resources.split(),
            "token_format": "" if client.token_format == OPAQUE else client.token_format,
            "redirect_uris": [row.uri for row in client.redirect_uris.all()],
            "web_origins": client.web_origins.split(),
            "secrets": [row.fingerprint for row in secrets],
            "secrets_end": {row.fingerprint: row.expires_at.isoformat() for row in secrets if row.expires_at},
            "disabled_at": client.disabled_at.isoformat() if client.disabled_at else None,
        }

    def _print(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            pairs = [f"{of} at {end}" for of, end in value.items()] if isinstance(value, dict) else value
            shown = " ".join(pairs) if isinstance(pairs, list) else pairs
            if shown and name != "client_secret":
                self.stdout.write(f"{name:14} {shown}")
        if "client_secret" in row:
            self.stdout.write(f"{'client_secret':14} {row['client_secret']}")
            self.stdout.write(self.style.WARNING("Store the secret now; it can't be shown again."))
        self.stdout.write("")


def _outcome(changed: bool) -> dict[str, str]:
    return {"outcome": "changed" if changed else "unchanged"}
