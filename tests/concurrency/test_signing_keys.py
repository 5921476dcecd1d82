"""Two administrators at the same signing key."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.server.keys import add_key, retire_key, rotate_key


def test_key_that_is_being_taken_out_is_not_published_again_by_a_rotation() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one writer at a time: it rotates before, or after")
    now = timezone.now()
    stolen = add_key("ES256", settings=conf.settings(), now=now)

    def rotate() -> str:
        try:
            return rotate_key("ES256", settings=conf.settings(), now=now).kid
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            retire_key(stolen, compromised=True, settings=conf.settings(), now=now)
            rotation: Future[str] = pool.submit(rotate)
            with pytest.raises(NotDone):
                rotation.result(timeout=0.5)
        made = rotation.result(timeout=30)
    stolen.refresh_from_db()
    assert made != stolen.kid
    assert stolen.state(now) == "gone"
