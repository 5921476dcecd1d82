from __future__ import annotations

import ast
import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from django_pkce_auth import protocol
from django_pkce_auth.protocol.authorization import (
    AuthorizationErrorResponse,
    AuthorizationRequest,
    AuthorizationResponse,
)
from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.protocol.parameters import Parameters
from django_pkce_auth.protocol.token import AuthorizationCodeTokenRequest, RefreshTokenRequest, TokenResponse

MODULES = sorted(Path(protocol.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_protocol_imports_only_the_standard_library_and_itself(module: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, f"{module.name} imports from outside protocol/"
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "message",
    [
        AuthorizationRequest("app", None),
        AuthorizationResponse("code"),
        AuthorizationErrorResponse("access_denied"),
        AuthorizationCodeTokenRequest("code", None),
        RefreshTokenRequest("token"),
        TokenResponse("token"),
        ClientCredentials("app"),
        Parameters({}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_message_cannot_be_changed_once_made(message: Any) -> None:
    name = dataclasses.fields(message)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(message, name, "other")
    assert not hasattr(message, "__dict__")


def test_protocol_is_found_with_all_its_modules() -> None:
    assert len(MODULES) >= 10
