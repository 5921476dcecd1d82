"""The example's app site, with the providers that the tests run."""

from __future__ import annotations

import json
import os

from example_project.settings.app_site import *  # noqa: F403
from example_project.settings.app_site import PKCE_AUTH as EXAMPLE

ROOT_URLCONF = "tests.interop.app_site.urls"
LOGIN_REDIRECT_URL = "pkce_auth:connections"
PKCE_AUTH = EXAMPLE | {
    "PROVIDERS": EXAMPLE["PROVIDERS"] | json.loads(os.environ["INTEROP_PROVIDERS"]),
    "CLIENT_POLICY": "tests.interop.app_site.policy.Patient",
}
