"""The shop's pages: home, lists of products, a product; and photos, where the site itself keeps them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from django.core.files.storage import FileSystemStorage, default_storage
from django.core.paginator import EmptyPage, Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from catalogue.models import Category, Product
from catalogue.querysets import ProductQuerySet

NEWEST = 10
PAGE_SIZE = 24
LONGEST_PAGE_NUMBER = 9

#: What photos are stored as; nothing else is served.
CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".heic": "image/heic",
    ".tif": "image/tiff",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    newest = Product.objects.visible().for_display()[:NEWEST]
    return render(request, "catalogue/home.html", {"products": newest})


@require_safe
def products(request: HttpRequest) -> HttpResponse:
    """All products, newest first."""
    return _list(request, Product.objects.visible(), {"title": _("All products")})


@require_safe
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """Products of a category and of those below it."""
    found = get_object_or_404(Category, slug=slug)
    return _list(
        request,
        Product.objects.visible().in_category(found),
        {
            "title": found.name,
            "category": found,
            "ancestors": found.ancestors(),
            "children": found.children.all(),
        },
    )


def _list(request: HttpRequest, shown: ProductQuerySet, context: dict[str, Any]) -> HttpResponse:
    number = request.GET.get("page", "1")
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_PAGE_NUMBER):
        raise Http404
    paginator = Paginator(shown.for_display(), PAGE_SIZE)
    try:
        page = paginator.page(number)
    except EmptyPage:
        raise Http404 from None
    numbers = paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    return render(request, "catalogue/list.html", {**context, "page": page, "numbers": numbers})


@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    found = get_object_or_404(Product.objects.visible().for_display(), sku=sku)
    context = {
        "product": found,
        "photos": found.photos.all(),
        "ancestors": found.category.ancestors(include_self=True) if found.category else [],
        "attributes": _attributes(found),
    }
    return render(request, "catalogue/product.html", context)


def _attributes(shown: Product) -> list[tuple[str, str]]:
    """A product's attributes as names and values to read; the field may hold any JSON."""
    if not isinstance(shown.attributes, dict):
        return []
    return [
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in shown.attributes.items()
        if value not in (None, "", [])
    ]


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """A photo's file, where photos are files of this machine. Names are made from contents, so they may be kept."""
    content_type = CONTENT_TYPES.get(PurePosixPath(path).suffix)
    if content_type is None or not isinstance(default_storage, FileSystemStorage):
        raise Http404
    response: HttpResponseBase
    try:
        file = _inside(Path(default_storage.location), path)
        status = file.stat()
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        response = get_conditional_response(request, etag, int(status.st_mtime)) or FileResponse(
            file.open("rb"), content_type=content_type
        )
    except (OSError, ValueError) as error:  # there is none, or no file can have this name
        raise Http404 from error
    response["ETag"] = etag
    response["Last-Modified"] = http_date(status.st_mtime)
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    # Whatever it holds, it is a picture and never a page.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _inside(root: Path, path: str) -> Path:
    """A file below the root, links followed. Raises OSError where there is none, or where it is elsewhere."""
    root = root.resolve()
    found = (root / path).resolve(strict=True)
    if not (found.is_relative_to(root) and found.is_file()):
        raise FileNotFoundError(path)
    return found
