"""Every check that guards an account, and nothing else: no other grant, no error that helps, no event, no policy."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.decorators import login_required
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.exchange import HOST, ISSUER, SCOPES

_LIVE = """
    SELECT a.created_at, a.expires_at, f.scope, c.client_id, u.id, u.username
    FROM floor_accesstoken a
    JOIN floor_family f ON f.id = a.family_id
    JOIN floor_client c ON c.id = f.client_id
    JOIN auth_user u ON u.id = f.user_id
    WHERE a.digest = %s AND a.expires_at > %s AND f.revoked_at IS NULL AND c.disabled_at IS NULL AND u.is_active
"""
_CODE = """
    SELECT k.client_id, k.user_id, k.redirect_uri, k.code_challenge, k.scope, c.client_id, c.secret_digest
    FROM floor_code k
    JOIN floor_client c ON c.id = k.client_id
    JOIN auth_user u ON u.id = k.user_id
    WHERE k.digest = %s AND k.expires_at > %s AND k.family_id IS NULL AND c.disabled_at IS NULL AND u.is_active
"""
_REFRESH = """
    SELECT r.family_id, f.scope, c.client_id, c.secret_digest
    FROM floor_refreshtoken r
    JOIN floor_family f ON f.id = r.family_id
    JOIN floor_client c ON c.id = f.client_id
    JOIN auth_user u ON u.id = f.user_id
    WHERE r.digest = %s AND r.expires_at > %s AND r.superseded_at IS NULL
      AND f.revoked_at IS NULL AND c.disabled_at IS NULL AND u.is_active
"""
_ASKING = """
    SELECT c.id, c.name, c.redirect_uri, c.scope, k.scope
    FROM floor_client c LEFT JOIN floor_consent k ON k.client_id = c.id AND k.user_id = %s
    WHERE c.client_id = %s AND c.disabled_at IS NULL
"""
_NEW_CODE = """
    INSERT INTO floor_code (digest, client_id, user_id, expires_at, code_challenge, redirect_uri, scope)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_CONSENT = """
    INSERT INTO floor_consent (user_id, client_id, scope, created_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (user_id, client_id) DO UPDATE SET scope = excluded.scope
"""
_FAMILY = "INSERT INTO floor_family (client_id, user_id, created_at, scope) VALUES (%s, %s, %s, %s) RETURNING id"
_CLAIM = "UPDATE floor_code SET family_id = %s WHERE digest = %s AND family_id IS NULL"
_SUPERSEDE = "UPDATE floor_refreshtoken SET superseded_at = %s WHERE digest = %s AND superseded_at IS NULL"
_ACCESS = "INSERT INTO floor_accesstoken (digest, family_id, created_at, expires_at) VALUES (%s, %s, %s, %s)"
_NEW = "INSERT INTO floor_refreshtoken (digest, family_id, created_at, expires_at) VALUES (%s, %s, %s, %s)"
_CLIENT = "SELECT secret_digest FROM floor_client WHERE client_id = %s AND disabled_at IS NULL"


def me(request: HttpRequest) -> HttpResponse:
    scheme, _, raw = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != "Bearer" or not raw:
        return _refused(401, "invalid_token")
    with connection.cursor() as cursor:
        cursor.execute(_LIVE, [_digest(raw), _stored(timezone.now())])
        row = cursor.fetchone()
    if row is None:
        return _refused(401, "invalid_token")
    if "read" not in row[2].split():
        return _refused(403, "insufficient_scope")
    return JsonResponse({"sub": str(row[4]), "username": row[5]})


@login_required
def authorize(request: HttpRequest) -> HttpResponse:
    """The page, and the answer to it; what is asked is checked anew each time."""
    asked = request.GET
    with connection.cursor() as cursor:
        cursor.execute(_ASKING, [request.user.pk, asked.get("client_id", "")])
        row = cursor.fetchone()
    if row is None or asked.get("redirect_uri") != row[2]:
        return HttpResponse("The link is wrong.", status=400)
    client, name, redirect_uri, allowed, consented = row
    scopes = asked.get("scope", "").split()
    challenge = asked.get("code_challenge", "")
    if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256" or len(challenge) != 43:
        return _back(redirect_uri, asked, error="invalid_request")
    if not scopes or not set(scopes) <= set(allowed.split()):
        return _back(redirect_uri, asked, error="invalid_scope")
    if request.method != "POST":
        shown = {"client": {"name": name}, "scopes": [SCOPES[each] for each in scopes], "host": HOST}
        return render(request, "benchmarks/authorize.html", shown)
    if request.POST.get("decision") != "approve":
        return _back(redirect_uri, asked, error="access_denied")
    now, code, user, scope = timezone.now(), secrets.token_urlsafe(32), request.user.pk, " ".join(scopes)
    ends = _stored(now + timedelta(minutes=1))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NEW_CODE, [_digest(code), client, user, ends, challenge, redirect_uri, scope])
        if consented != scope:
            cursor.execute(_CONSENT, [user, client, scope, _stored(now)])
    return _back(redirect_uri, asked, code=code)


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    form = dict(parse_qsl(request.body.decode()))
    client_id, secret = _credentials(request, form)
    now = timezone.now()
    if form.get("grant_type") == "authorization_code":
        return _exchange(form, client_id, secret, now)
    if form.get("grant_type") == "refresh_token":
        return _refresh(form, client_id, secret, now)
    return _refused(400, "unsupported_grant_type")


@csrf_exempt
def introspect(request: HttpRequest) -> HttpResponse:
    form = dict(parse_qsl(request.body.decode()))
    client_id, secret = _credentials(request, form)
    with connection.cursor() as cursor:
        # The caller first: a stranger's question about a token is not looked at.
        cursor.execute(_CLIENT, [client_id])
        client = cursor.fetchone()
        if client is None or not secret or not _is_secret(client[0], secret):
            return _refused(401, "invalid_client")
        cursor.execute(_LIVE, [_digest(form["token"]), _stored(timezone.now())])
        row = cursor.fetchone()
    if row is None:
        return _answer({"active": False})
    created_at, expires_at, scope, owner, user_id, username = row
    return _answer(
        {
            "active": True,
            "client_id": owner,
            "username": username,
            "sub": str(user_id),
            "scope": scope,
            "token_type": "Bearer",
            "exp": _seconds(expires_at),
            "iat": _seconds(created_at),
            "iss": ISSUER,
            "aud": [ISSUER],
        }
    )


def _exchange(form: dict[str, str], client_id: str, secret: str, now: datetime) -> HttpResponse:
    digest = _digest(form["code"])
    with connection.cursor() as cursor:
        cursor.execute(_CODE, [digest, _stored(now)])
        row = cursor.fetchone()
        if row is None:
            return _refused(400, "invalid_grant")
        client, user, redirect_uri, challenge, scope, owner, secret_digest = row
        if owner != client_id or not _is_secret(secret_digest, secret):
            return _refused(401, "invalid_client")
        if form.get("redirect_uri") != redirect_uri or not _verifies(form["code_verifier"], challenge):
            return _refused(400, "invalid_grant")
        with transaction.atomic():
            cursor.execute(_FAMILY, [client, user, _stored(now), scope])
            (family,) = cursor.fetchone()
            cursor.execute(_CLAIM, [family, digest])
            if cursor.rowcount != 1:
                transaction.set_rollback(True)
                return _refused(400, "invalid_grant")
            return _issue(cursor, family, scope, now)


def _refresh(form: dict[str, str], client_id: str, secret: str, now: datetime) -> HttpResponse:
    digest = _digest(form["refresh_token"])
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH, [digest, _stored(now)])
        row = cursor.fetchone()
        if row is None:
            return _refused(400, "invalid_grant")
        family, scope, owner, secret_digest = row
        if owner != client_id or not _is_secret(secret_digest, secret):
            return _refused(401, "invalid_client")
        with transaction.atomic():
            cursor.execute(_SUPERSEDE, [_stored(now), digest])
            if cursor.rowcount != 1:
                return _refused(400, "invalid_grant")
            return _issue(cursor, family, scope, now)


def _issue(cursor: Any, family: int, scope: str, now: datetime) -> HttpResponse:
    access_token, refresh_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    cursor.execute(_ACCESS, [_digest(access_token), family, _stored(now), _stored(now + timedelta(hours=1))])
    cursor.execute(_NEW, [_digest(refresh_token), family, _stored(now), _stored(now + timedelta(days=30))])
    return _answer(
        {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh_token,
            "scope": scope,
        }
    )


def _back(redirect_uri: str, asked: Mapping[str, Any], **parameters: str) -> HttpResponse:
    return HttpResponseRedirect(
        redirect_uri + "?" + urlencode(parameters | {"state": asked.get("state", ""), "iss": ISSUER})
    )


def _credentials(request: HttpRequest, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != "Basic":
        return form.get("client_id", ""), ""
    client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    return client_id, secret


def _is_secret(stored: bytes | None, presented: str) -> bool:
    """True for the client's secret, and for none where it has none."""
    if stored is None or not presented:
        return stored is None and not presented
    return hmac.compare_digest(stored, _digest(presented))


def _verifies(verifier: str, challenge: str) -> bool:
    computed = base64.urlsafe_b64encode(_digest(verifier)).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)


def _answer(members: dict[str, Any], status: int = 200) -> HttpResponse:
    return JsonResponse(members, status=status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _refused(status: int, error: str) -> HttpResponse:
    return _answer({"error": error}, status)


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()


def _stored(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _seconds(moment: datetime) -> int:
    # SQLite's columns have no time zone.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_default_timezone())).timestamp())
