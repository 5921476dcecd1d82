from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from django_pkce_auth import protocol

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


def test_protocol_is_found_with_all_its_modules() -> None:
    assert len(MODULES) >= 10
