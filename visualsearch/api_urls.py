"""Addresses below /api/."""

from django.urls import path, re_path
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from catalogue import converters  # noqa: F401 - registers `sku`
from catalogue.api import ProductListView, ProductView
from search.web.api import FoundView, SearchView, SimilarView
from visualsearch.problems import not_found

urlpatterns = [
    path("v1/search/", SearchView.as_view(), name="search-create"),
    path("v1/search/<uuid:pk>/", FoundView.as_view(), name="search-page"),
    path("v1/products/", ProductListView.as_view(), name="product-list"),
    # A SKU is the shop's own and may hold slashes.
    path("v1/products/<sku:sku>/similar/", SimilarView.as_view(), name="product-similar"),
    path("v1/products/<sku:sku>/", ProductView.as_view(), name="product"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    # A page, and the script that starts it: the framework's own answer to OPTIONS would ask for a template that there
    # is not.
    path("docs/", require_safe(SpectacularSwaggerSplitView.as_view(url_name="schema")), name="docs"),
    re_path("", not_found),
]
