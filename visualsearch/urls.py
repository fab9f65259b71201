from django.contrib import admin
from django.urls import include, path

from visualsearch import health

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/", include("visualsearch.api_urls")),
    path("", include("search.urls")),
    path("", include("catalogue.urls")),
]
