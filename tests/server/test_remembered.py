"""What a consent holds: scopes, resource by resource."""

from __future__ import annotations

from django_pkce_auth.server.remembered import Remembered

OWN, TOOLS, FILES = "https://testserver", "https://testserver/tools", "https://testserver/files"
BOTH = Remembered("read write", f"{TOOLS} read profile\n{FILES} profile read")


def test_nothing_was_allowed() -> None:
    assert Remembered().scopes == Remembered().resources == Remembered().scopes_at((), own=OWN) == ()
    assert Remembered(resource=f"{TOOLS} read").resources == (TOOLS,)
    assert Remembered(scope="read").resources == ()


def test_scopes_count_where_they_were_allowed() -> None:
    assert BOTH.scopes_at((), own=OWN) == BOTH.scopes_at((OWN,), own=OWN) == ("read", "write")
    assert BOTH.scopes_at((TOOLS,), own=OWN) == ("read", "profile")
    assert BOTH.scopes_at(("https://elsewhere.example",), own=OWN) == ()


def test_scopes_at_several_are_those_allowed_at_each_of_them() -> None:
    assert BOTH.scopes_at((TOOLS, FILES), own=OWN) == ("read", "profile")
    assert BOTH.scopes_at((TOOLS, FILES, OWN), own=OWN) == ("read",)
    assert BOTH.scopes_at((OWN, "https://elsewhere.example"), own=OWN) == ()


def test_answer_is_added_to_those_before() -> None:
    first = Remembered().adding(("read",), (), own=OWN)
    assert first == Remembered("read", "")
    second = first.adding(("write", "read"), (OWN, TOOLS), own=OWN)
    assert second == Remembered("read write", f"{TOOLS} write read")
    assert second.scopes == ("read", "write")
    assert second.adding(("profile",), (TOOLS, FILES), own=OWN) == Remembered(
        "read write", f"{TOOLS} write read profile\n{FILES} profile"
    )
