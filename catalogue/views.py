"""The shop's pages (home, lists, products) and the files of photos."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.paginator import EmptyPage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from catalogue.files import CONTENT_TYPES
from catalogue.listing import ListForm, Listing, Sort
from catalogue.meta import crumbs_data, describe, product_data
from catalogue.models import Category, Product
from catalogue.tiles import tiles
from catalogue.tree import CategoryTree

NEWEST = 10
MAX_PAGE_DIGITS = 9
REDIRECT_KEPT = 300
"""Seconds: half of the shortest time that a signed address may be good for (`AWS_QUERYSTRING_EXPIRE`)."""

PUBLIC_FILE = "public, max-age=31536000, s-maxage=600, immutable"
"""Names are made from contents, so browsers may keep photos. Shared caches check every ten minutes that the product
is still visible."""

HIDDEN_FILE = "private, no-cache"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The home page: categories and new products."""
    tree = CategoryTree.load()
    newest = list(Product.objects.visible().for_display()[:NEWEST])
    title = _("Find it with a photo")
    description = _("%(shop)s: show a photo of something you like and find what looks like it.") % {
        "shop": settings.SHOP_NAME
    }
    context = {
        "top_categories": tree.children(),
        "tiles": tiles(tree),
        "products": newest,
        "meta": describe(
            request,
            reverse("catalogue:home"),
            title=f"{title} · {settings.SHOP_NAME}",
            description=description,
            photo=newest[0].cover if newest else None,
        ),
    }
    return render(request, "catalogue/home.html", context)


@require_safe
def products(request: HttpRequest) -> HttpResponse:
    """All products, filtered and sorted."""
    return _list(request, CategoryTree.load(), None)


@require_safe
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """The products of a category and its descendants."""
    tree = CategoryTree.load()
    if (found := tree.find(slug)) is None:
        raise Http404
    return _list(request, tree, found)


def _list(request: HttpRequest, tree: CategoryTree, shown_category: Category | None) -> HttpResponse:
    number = request.GET.get("page", "1")
    if not (number.isascii() and number.isdecimal() and len(number) <= MAX_PAGE_DIGITS):
        raise Http404
    form = ListForm(request.GET)
    address = shown_category.get_absolute_url() if shown_category else reverse("catalogue:products")
    listing = Listing.read(form, address, tree, shown_category)
    path = tree.path(shown_category.pk) if shown_category else []
    title = shown_category.name if shown_category else _("All products")
    context: dict[str, Any] = {
        "top_categories": tree.children(),
        "title": title,
        "category": shown_category,
        "ancestors": path[:-1],
        "listing": listing,
        "form": form,
        "sorts": Sort,
    }
    if form.errors:
        context["meta"] = describe(request, address, title=title, indexed=False)
        return render(request, "catalogue/list.html", context, status=HTTPStatus.BAD_REQUEST)
    try:
        page = listing.paginator().page(number)
    except EmptyPage:
        raise Http404 from None
    context |= {
        "page": page,
        "pages": list(listing.pages(page)),
        "previous": listing.address(page=page.number - 1) if page.has_previous() else "",
        "next": listing.address(page=page.number + 1) if page.has_next() else "",
        "meta": describe(
            request,
            address + (f"?page={page.number}" if listing.plain and page.number > 1 else ""),
            title=title,
            description=_description(listing, page.paginator.count),
            photo=next((cover for product in page if (cover := product.cover)), None),
            indexed=listing.plain,
            data=[crumbs_data(request, path)] if path else [],
        ),
    }
    return render(request, "catalogue/list.html", context)


def _description(listing: Listing, count: int) -> str:
    name = listing.category.name if listing.category else _("All products")
    sentence = ngettext(
        "%(name)s: %(count)d product at %(shop)s. Browse, or search with a photo.",
        "%(name)s: %(count)d products at %(shop)s. Browse, or search with a photo.",
        count,
    )
    return sentence % {"name": name, "count": count, "shop": settings.SHOP_NAME}


@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """A product's page."""
    found = get_object_or_404(Product.objects.visible().for_display(), sku=sku)
    tree = CategoryTree.load()
    path = tree.path(found.category_id)
    context = {
        "top_categories": tree.children(),
        "product": found,
        "photos": [(photo, photo.shown.url) for photo in found.photos.all()],
        "ancestors": path,
        "attributes": _attributes(found),
        "meta": describe(
            request,
            found.get_absolute_url(),
            title=found.title,
            description=found.description or found.title,
            photo=found.cover,
            kind="product",
            data=[product_data(request, found, path), crumbs_data(request, path, found.title)],
        ),
    }
    return render(request, "catalogue/product.html", context)


def _attributes(shown: Product) -> list[tuple[str, str]]:
    """A product's attributes as readable names and values; the field may hold any JSON."""
    if not isinstance(shown.attributes, dict):
        return []
    return [
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in shown.attributes.items()
        if value not in (None, "", [])
    ]


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """A photo's file, if the user may see its product now. Photos in another storage are redirected to."""
    content_type = CONTENT_TYPES.get(PurePosixPath(path).suffix)
    if content_type is None or "\0" in path:
        raise Http404
    public = Product.objects.visible().with_file(path).exists()
    # Check permissions first, so that a hidden photo takes strangers as long as a missing one.
    if not (public or (_may_see_hidden(request) and Product.objects.with_file(path).exists())):
        raise Http404
    response: HttpResponseBase
    if isinstance(default_storage, FileSystemStorage):
        response = _file(request, default_storage, path, content_type)
        response["Cache-Control"] = PUBLIC_FILE if public else HIDDEN_FILE
    else:
        response = redirect(default_storage.url(path))
        response["Cache-Control"] = f"public, max-age={REDIRECT_KEPT}" if public else HIDDEN_FILE
    return response


def _may_see_hidden(request: HttpRequest) -> bool:
    user = request.user
    return user.is_staff and (user.has_perm("catalogue.view_productimage") or user.has_perm("catalogue.view_product"))


def _file(request: HttpRequest, storage: FileSystemStorage, path: str, content_type: str) -> HttpResponseBase:
    response: HttpResponseBase
    try:
        file = _inside(Path(storage.location), path)
        status = file.stat()
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        response = get_conditional_response(request, etag, int(status.st_mtime)) or FileResponse(
            file.open("rb"), content_type=content_type
        )
    except (OSError, ValueError) as error:  # missing, or not a valid file name
        raise Http404 from error
    response["ETag"] = etag
    response["Last-Modified"] = http_date(status.st_mtime)
    # Browsers must treat it as a picture, whatever it contains.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _inside(root: Path, path: str) -> Path:
    """A file below the root, with links resolved. Raises OSError if it is missing or outside."""
    root = root.resolve()
    found = (root / path).resolve(strict=True)
    if not (found.is_relative_to(root) and found.is_file()):
        raise FileNotFoundError(path)
    return found
