"""What the guards of this project's APIs publish."""

from django.urls import re_path

from .views import resource_metadata

urlpatterns = [
    re_path(r"^\.well-known/oauth-protected-resource(?P<path>/.*)?$", resource_metadata, name="resource_metadata"),
]
