"""Write docs/reference.md from the code: ``python docs/generate.py`` in a checkout with the package installed."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"
PACKAGE = ROOT / "django_pkce_auth"


def settings() -> Iterator[str]:
    from django_pkce_auth.authorization_server import KEYS as SERVER_KEYS
    from django_pkce_auth.conf import KEYS
    from django_pkce_auth.provider_settings import PROVIDER_KEYS

    yield "## Settings\n\nKeys of `PKCE_AUTH`:\n\n| Key | Meaning |\n|---|---|"
    yield from (f"| `{key}` | {meaning} |" for key, meaning in KEYS.items())
    yield '\nKeys of an entry of `PKCE_AUTH["PROVIDERS"]`:\n\n| Key | Meaning |\n|---|---|'
    yield from (f"| `{key}` | {meaning} |" for key, meaning in PROVIDER_KEYS.items())
    yield '\nKeys of `PKCE_AUTH["AUTHORIZATION_SERVER"]`:\n\n| Key | Meaning |\n|---|---|'
    yield from (f"| `{key}` | {meaning} |" for key, meaning in SERVER_KEYS.items())


def checks() -> Iterator[str]:
    yield "## System checks\n\n`python manage.py check` (and `check --deploy`, `check --database default`) runs them.\n"
    yield "| Number | Meaning |\n|---|---|"
    text = (PACKAGE / "checks.py").read_text()
    found = {}
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            for number, meaning in re.findall(r"([EW]\d{3}):? ([^.;,\n]+)", ast.get_docstring(function) or ""):
                found[number] = meaning.strip().rstrip(",")
    yield from (f"| `pkce_auth.{number}` | {found[number]} |" for number in sorted(found))


def signals() -> Iterator[str]:
    yield "## Signals\n\nIn `django_pkce_auth.signals`, sent after the commit.\n\n| Signal | Tells |\n|---|---|"
    for line in (PACKAGE / "signals.py").read_text().splitlines():
        if match := re.match(r"(\w+) = Signal\(\)(?:  # (.*))?", line):
            yield f"| `{match[1]}` | {match[2] or ''} |"


def counters() -> Iterator[str]:
    from django_pkce_auth.metrics import COUNTERS

    yield '## Counters\n\nWhat the function of `PKCE_AUTH["METRICS"]` is told.\n'
    yield "| Counter | Labels | Counts |\n|---|---|---|"
    for name, (words, labels) in COUNTERS.items():
        yield f"| `{name}` | {', '.join(f'`{label}`' for label in labels)} | {words} |"


def commands() -> Iterator[str]:
    from django.core.management import load_command_class

    yield "## Commands"
    for file in sorted((PACKAGE / "management" / "commands").glob("pkce_*.py")):
        command = load_command_class("django_pkce_auth", file.stem)
        parser = command.create_parser("manage.py", file.stem)
        yield f"\n### manage.py {file.stem}\n\n{command.help}\n"
        for action in parser._actions:
            if action.choices and isinstance(action.choices, dict):
                for name, sub in action.choices.items():
                    yield f"- `{name}`" + "".join(_arguments(sub))
            elif action.dest in command.base_stealth_options or action.dest in _COMMON:
                continue
            else:
                yield f"- `{' '.join(action.option_strings) or action.dest}`: {action.help or ''}"


_COMMON = {
    "help",
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


def _arguments(parser: object) -> Iterator[str]:
    for action in parser._actions:  # type: ignore[attr-defined]
        if action.dest not in _COMMON:
            yield f"\n  - `{' '.join(action.option_strings) or action.dest}`: {action.help or ''}"


def templates() -> Iterator[str]:
    yield "## Templates\n\nThe pages, below `pkce_auth/`, and the blocks that yours can replace one by one.\n"
    yield "| Template | Its title | Blocks |\n|---|---|---|"
    for template in sorted((PACKAGE / "templates" / "pkce_auth").glob("*.html")):
        text = template.read_text()
        title = re.search(r"{% block title %}(.*?){% endblock %}", text)
        # What stands between the tags is English: the words that are translated.
        words = re.sub(r'{% translate "(.*?)" %}', r"\1", title[1] if title else "")
        words = re.sub(r"{% else %}", " / ", re.sub(r"{% (?!else)[^%]*%}", "", words))
        blocks = ", ".join(f"`{name}`" for name in re.findall(r"{% block (\w+) %}", text))
        yield f"| `{template.name}` | {words} | {blocks} |"


def urls() -> Iterator[str]:
    from django_pkce_auth.urls import urlpatterns

    yield "## URLs\n\nNames are in the namespace `pkce_auth`.\n\n| Name | Path |\n|---|---|"
    for pattern in urlpatterns:
        path = str(pattern.pattern).removeprefix("^").removesuffix("$").replace("/?", "").replace("\\", "")
        path = re.sub(r"\(\?P<(\w+)>[^)]*\)\??", r"<\1>", path)
        yield f"| `{pattern.name}` | `/{path}` |"


def reference() -> str:
    parts = ["# Reference\n\nGenerated by `python docs/generate.py`; do not edit.\n"]
    for section in (settings, checks, signals, counters, commands, templates, urls):
        parts.append("\n".join(section()) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    TARGET.write_text(reference())
