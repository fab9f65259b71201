from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.sitemaps import views as sitemaps
from django.urls import include, path
from django.views.i18n import set_language

from search.web.sample import PostImageView, PostURLView
from visualsearch import (
    accounts,  # noqa: F401 - registers users, groups and sign-in attempts with the admin
    navigation,
    second_factor,
)
from visualsearch.sitemaps import SITEMAPS, robots

handler400 = "visualsearch.faults.bad_request"
handler500 = "visualsearch.faults.server_error"

urlpatterns = [
    path("robots.txt", robots, name="robots"),
    path("sitemap.xml", sitemaps.index, {"sitemaps": SITEMAPS, "sitemap_url_name": "sitemap"}, name="sitemap-index"),
    path(
        "sitemap-<section>.xml",
        sitemaps.sitemap,
        {"sitemaps": SITEMAPS, "template_name": "sitemap_entries.xml"},
        name="sitemap",
    ),
    path("language/", set_language, name="set_language"),
    path("api/", include("visualsearch.api_urls")),
    path("postImage", PostImageView.as_view(), name="post-image"),
    path("postURL", PostURLView.as_view(), name="post-url"),
    # A page says in its address which language it is in: /hats/ in the site's own, /ja/hats/ in Japanese.
    *i18n_patterns(
        path("admin/second-factor/", admin.site.admin_view(second_factor.page), name="second-factor"),
        path("admin/search/", admin.site.admin_view(navigation.search_or_app)),
        path("admin/", admin.site.urls),
        path("", include("search.urls")),
        path("", include("catalogue.urls")),
        prefix_default_language=False,
    ),
]
