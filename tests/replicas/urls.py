from django.urls import include, path

from tests import urls
from tests.resource import guarded

urlpatterns = [path("", include(urls.urlpatterns)), *guarded.urlpatterns]
