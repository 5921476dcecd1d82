"""What the guards of this project's APIs publish: all that a project needs which only guards APIs."""

from django.contrib.auth.decorators import login_not_required
from django.urls import re_path

from ..later import LaterView

resource_metadata = LaterView("django_pkce_auth.resource.views.resource_metadata")

app_name = "pkce_auth"
urlpatterns = [
    re_path(
        r"^\.well-known/oauth-protected-resource(?P<path>/.*)?$",
        login_not_required(resource_metadata),
        name="resource_metadata",
    ),
]
