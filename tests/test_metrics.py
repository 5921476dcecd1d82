"""Counters: what is counted, that nobody is harmed by them, and that the documented wiring works."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client as Browser

from django_pkce_auth import conf, metrics
from django_pkce_auth.client.models import Connection
from django_pkce_auth.server.models import TokenFamily
from django_pkce_auth.server.revoke import revoke_family
from django_pkce_auth.signals import connection_broken
from django_pkce_auth.testing import issue_access_token
from tests.four_steps import App, approve, bearer
from tests.test_project_checks import ids

counted: Counter[Any] = Counter()


def count(name: str, **labels: str) -> None:
    assert set(labels) == set(metrics.COUNTERS[name][1])
    assert all(isinstance(value, str) for value in labels.values())
    counted[(name, *labels.values())] += 1


def fail(name: str, **labels: str) -> None:
    raise RuntimeError("no metrics today")


@pytest.fixture(autouse=True)
def empty(settings: Any) -> None:
    counted.clear()
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": "tests.test_metrics.count"}


@pytest.mark.django_db(transaction=True)
def test_walk_is_counted(app: App, alice: Any) -> None:
    browser = Browser()
    browser.force_login(alice)
    first = app.redeem(approve(browser, app.link())["code"]).json()
    second = app.refresh(first["refresh_token"]).json()
    assert Browser().get("/api/read", headers=bearer(second["access_token"])).status_code == 200
    assert Browser().get("/api/read").status_code == 401
    assert Browser().get("/api/read", headers=bearer("x")).status_code == 401
    assert counted == {
        ("code_issued",): 1,
        ("tokens_issued", "authorization_code"): 1,
        ("tokens_refreshed",): 1,
        ("token_verified", "ok"): 1,
        ("token_verified", "no_token"): 1,
        ("token_verified", "invalid_token"): 1,
    }


@pytest.mark.django_db(transaction=True)
def test_refusals_are_counted_by_endpoint_and_error(app: App, alice: Any) -> None:
    post = Browser().post
    post("/oauth/token", {"grant_type": "password"}, content_type="application/json")
    post("/oauth/token", "grant_type=x&client_id=nobody", content_type="application/x-www-form-urlencoded")
    post(
        "/oauth/token",
        "grant_type=refresh_token&refresh_token=x&client_id=nobody&client_secret=y",
        content_type="application/x-www-form-urlencoded",
    )
    Browser().get("/oauth/authorize")
    assert counted == {
        ("request_refused", "token", "invalid_request"): 1,
        ("request_refused", "token", "unsupported_grant_type"): 1,
        ("request_refused", "token", "invalid_client"): 1,
        ("client_authentication_failed", "unknown client_id"): 1,
        ("request_refused", "authorize", "invalid_request"): 1,
    }


@pytest.mark.django_db(transaction=True)
def test_ends_are_counted(alice: Any) -> None:
    issue_access_token(alice, ["read"])
    family = TokenFamily.objects.get()
    revoke_family(family.pk, reason=TokenFamily.Reason.USER, now=family.created_at, using="default")
    assert counted == {("family_revoked", "user"): 1}


def test_connections_are_counted_by_provider() -> None:
    connection_broken.send_robust(sender=Connection, connection=Connection(provider="acme"))
    assert counted == {("connection_broken", "acme"): 1}


@pytest.mark.django_db(transaction=True)
def test_a_count_that_fails_is_logged_and_harms_nobody(
    alice: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": "tests.test_metrics.fail"}
    raw = issue_access_token(alice, ["read"])
    assert Browser().get("/api/read", headers=bearer(raw)).status_code == 200
    assert "failed to count token_verified" in caplog.text
    assert raw not in caplog.text


def test_without_the_setting_nothing_is_called(settings: Any, db: None) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": ""}
    assert Browser().get("/api/read").status_code == 401
    assert counted == {}
    # Nor heard: an event that nobody listens to is not put together for anybody.
    assert not connection_broken.has_listeners(Connection)


@pytest.mark.parametrize("wrong", ["tests.test_metrics.nothing", "nowhere.count", "tests.test_metrics.counted"])
def test_e011_function_that_is_none(wrong: str, settings: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": wrong}
    assert ids() == ["pkce_auth.E011"]


@pytest.mark.parametrize("wrong", [7, count, ["x"]])
def test_another_type_is_refused(wrong: Any, settings: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="METRICS"):
        conf.parse({**settings.PKCE_AUTH, "METRICS": wrong})


def documented(library: str) -> dict[str, Any]:
    """The module of docs/server.md that wires the counters to ``library``, run."""
    page = (Path(__file__).resolve().parent.parent / "docs" / "server.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (block,) = (each for each in blocks if library in each)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/server.md", "exec"), names)  # noqa: S102  (our own page)
    return names


def as_module(monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]) -> str:
    module = ModuleType("documented_metrics")
    module.__dict__.update(names)
    monkeypatch.setitem(sys.modules, "documented_metrics", module)
    return "documented_metrics.count"


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prometheus' process-wide registry takes each counter once, and the page itself is run by another test."""
    import prometheus_client
    from prometheus_client import metrics as prometheus_metrics

    registry = prometheus_client.CollectorRegistry()
    monkeypatch.setattr(
        prometheus_client, "Counter", lambda *args: prometheus_metrics.Counter(*args, registry=registry)
    )
    return registry


def test_documented_prometheus_wiring_counts(
    monkeypatch: pytest.MonkeyPatch, own_registry: Any, settings: Any, db: None
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": as_module(monkeypatch, documented("prometheus_client"))}
    Browser().get("/api/read")
    metrics.count("tokens_refreshed")
    assert own_registry.get_sample_value("oauth_token_verified_total", {"result": "no_token"}) == 1
    assert own_registry.get_sample_value("oauth_tokens_refreshed_total") == 1


def test_documented_opentelemetry_wiring_counts(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> None:
    import opentelemetry.metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(opentelemetry.metrics, "get_meter", provider.get_meter)
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "METRICS": as_module(monkeypatch, documented("opentelemetry"))}
    Browser().get("/api/read")
    data: Any = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert (metric.name, point.value, dict(point.attributes)) == ("oauth.token_verified", 1, {"result": "no_token"})
    provider.shutdown()
