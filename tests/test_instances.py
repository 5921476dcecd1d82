"""A project's own user model is read as it says, whoever listens, though most are made without a word."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models.signals import post_init

from django_pkce_auth.compiled import Select
from django_pkce_auth.server.models import AccessToken
from django_pkce_auth.statement import Slot


def by_digest() -> Any:
    return AccessToken.objects.filter(digest=Slot(AccessToken, "digest"))


USERS = Select(by_digest, instances=["family__user"])


@pytest.fixture
def token(tokens: dict[str, Any]) -> AccessToken:
    return AccessToken.objects.get()


def test_user_is_the_one_that_the_orm_makes(token: AccessToken) -> None:
    made = USERS.rows("default", digest=token.digest)[0].instance("family__user")
    orm = get_user_model().objects.get()
    state, other = (dict(vars(each)) for each in (made, orm))
    assert (made._state.db, made._state.adding) == (orm._state.db, orm._state.adding)
    del state["_state"], other["_state"]
    assert state == other


def test_who_listens_hears_of_each_user_that_is_read(token: AccessToken) -> None:
    USERS.rows("default", digest=token.digest)
    heard: list[Any] = []

    def hear(instance: Any, **_: Any) -> None:
        heard.append(instance)

    post_init.connect(hear, sender=get_user_model())
    try:
        user = USERS.rows("default", digest=token.digest)[0].instance("family__user")
    finally:
        post_init.disconnect(hear, sender=get_user_model())
    assert heard == [user]


class Shouted:
    """A column's attribute that changes what it is given, as those of many fields do."""

    def __set__(self, instance: Any, value: str) -> None:
        instance.__dict__["username"] = value.upper()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else instance.__dict__["username"]


def renaming(method: Any) -> Any:
    def renamed(*args: Any, **kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        (made or args[0]).__dict__["username"] = "ALICE"
        return made

    return renamed


@pytest.mark.parametrize("own", ["from_db", "__init__", "__setattr__", "username"])
def test_user_model_of_a_project_is_read_as_it_says(
    token: AccessToken, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    model: Any = get_user_model()
    instead = {
        "from_db": classmethod(renaming(model.from_db.__func__)),
        "__init__": renaming(model.__init__),
        "__setattr__": renaming(model.__setattr__),
        "username": Shouted(),
    }
    monkeypatch.setattr(model, own, instead[own], raising=False)
    # Asked anew, as a model is looked at when the statement is compiled.
    (row,) = Select(by_digest, instances=["family__user"]).rows("default", digest=token.digest)
    assert row.instance("family__user").username == "ALICE"
