"""The shop's pages."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from catalogue.models import Category, Product
from catalogue.templatetags.money import money, plain_number
from search.writing import indexing
from tests import shop
from tests.drawing import encoded, photo, picture

pytestmark = pytest.mark.django_db

DRAWN = photo()


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def images_of(shown: str) -> list[str]:
    """The attributes of each picture of a page."""
    return [tag.split(">")[0] for tag in shown.split("<img")[1:]]


# URLs --------------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), min_size=1))
@example("A-1")
@example("a/b//c/")
@example("/")
@example("..")
@example("50%2F")
@example("schräg ?&#+;=\\")
def test_any_sku_comes_back_from_its_address(sku: str) -> None:
    address = reverse("catalogue:product", args=[sku])
    assert "/./" not in unquote(address)
    assert "/../" not in unquote(address)
    # A server takes one layer of quoting off before the address is matched.
    assert resolve(unquote(address)).kwargs == {"sku": sku}


def test_an_ordinary_sku_reads_as_it_is() -> None:
    assert reverse("catalogue:product", args=["ABC-12.3"]) == "/products/ABC-12.3/"


@pytest.mark.parametrize("sku", ["a/b", "..", "50%", "50%2F", "Größe 3", "x?y#z"])
def test_a_product_with_an_odd_sku_has_a_page(client: Client, sku: str) -> None:
    made = shop.product(sku, DRAWN, title="A find")
    assert "A find" in page(client, made.get_absolute_url())


def test_no_sku_has_a_null_character(client: Client) -> None:
    page(client, "/products/a%00b/", 404)
    page(client, "/products/a%2500b/", 404)


# Home and lists ---------------------------------------------------------------------------------------------


def test_home_offers_search_categories_and_new_products(client: Client) -> None:
    shop.product("1", DRAWN, title="Red shirt", category=shop.category("Shirts"))
    home = page(client, "/")
    assert 'name="image"' in home
    assert 'enctype="multipart/form-data"' in home
    assert 'href="/categories/shirts/"' in home
    assert "Red shirt" in home


def test_home_shows_each_category_with_its_newest_product(client: Client) -> None:
    clothes = shop.category("Clothes")
    hats = shop.category("Hats", clothes)
    now = timezone.now()
    old = shop.product("old", photo(seed=1), category=clothes, created=now - timedelta(days=3))
    new = shop.product("new", photo(seed=2), category=hats, created=now - timedelta(days=2))
    shop.product("bare", category=hats, created=now - timedelta(days=1))
    shop.product("gone", photo(seed=3), category=hats, visible_until=now)
    shop.category("Empty")
    tiles = page(client, "/").split('class="tiles"')[1].split("</nav>")[0]
    assert 'href="/categories/clothes/"' in tiles
    assert new.photos.get().thumbnail.url in tiles
    assert old.photos.get().thumbnail.url not in tiles
    assert "Empty" not in tiles


def test_visitors_of_an_empty_shop_see_a_notice(client: Client) -> None:
    home = page(client, "/")
    assert "This shop opens soon" in home
    assert "load_demo" not in home
    page(client, "/products/")


def test_staff_of_an_empty_shop_see_first_steps(client: Client, admin_user: Any, django_user_model: Any) -> None:
    client.force_login(admin_user)
    home = page(client, "/")
    assert home.split('class="steps"')[1].count(f'href="{reverse("admin:index")}"') == 2
    assert "make " not in home.split('class="steps"')[1].split("</ol>")[0]
    assert reverse("admin:catalogue_product_add") in home
    client.force_login(django_user_model.objects.create_user("viewer", is_staff=True))
    assert reverse("admin:catalogue_product_add") not in page(client, "/")


def test_lists_show_visible_products_alone_the_newest_first(client: Client) -> None:
    now = timezone.now()
    shop.product("old", title="Older", created=now - timedelta(days=2))
    shop.product("new", title="Newer", created=now)
    shop.product("gone", title="Bygone", visible_until=now - timedelta(days=1))
    shop.product("soon", title="Coming", visible_from=now + timedelta(days=1))
    listed = page(client, "/products/")
    assert listed.index("Newer") < listed.index("Older")
    assert "Bygone" not in listed
    assert "Coming" not in listed


def test_long_lists_have_pages(client: Client) -> None:
    for number in range(25):
        shop.product(f"P{number}", title=f"Number {number}.")
    first, second = page(client, "/products/"), page(client, "/products/?page=2")
    assert 'rel="next" href="/products/?page=2"' in first
    assert "Number 0." not in first
    assert "Number 0." in second
    assert 'rel="prev" href="/products/"' in second


@pytest.mark.parametrize("number", ["0", "3", "-1", "x", "٣", "9" * 5000, ""])
def test_a_page_that_does_not_exist_is_not_found(client: Client, number: str) -> None:
    shop.product("1")
    page(client, f"/products/?page={number}", 404)


def test_pages_keep_the_filters_and_the_order(client: Client) -> None:
    for number in range(30):
        shop.product(f"P{number}", price=number, brand=shop.brand("Acme"))
    first = page(client, "/products/?brand=acme&sort=price_up")
    assert 'href="/products/?brand=acme&amp;sort=price_up&amp;page=2"' in first


def titles(listed: str) -> list[str]:
    return re.findall(r'card__title">([^<]+)<', listed)


@pytest.mark.parametrize(
    ("order", "listed"),
    [
        ("newest", ["beret", "Cap", "Apron", "Dress"]),
        ("price_up", ["Cap", "beret", "Apron", "Dress"]),
        ("price_down", ["Apron", "beret", "Cap", "Dress"]),
        ("name", ["Apron", "beret", "Cap", "Dress"]),
    ],
)
def test_lists_are_sorted_with_missing_prices_last(client: Client, order: str, listed: list[str]) -> None:
    now = timezone.now()
    for age, (title, price) in enumerate([("beret", 20), ("Cap", 10), ("Apron", 30), ("Dress", None)]):
        shop.product(title, title=title, price=price, created=now - timedelta(days=age))
    shown = page(client, f"/products/?sort={order}")
    assert titles(shown) == listed
    assert f'<option value="{order}" selected>' in shown


def test_filters_narrow_a_list_and_can_be_removed_one_by_one(client: Client) -> None:
    hats = shop.category("Hats")
    shop.product("1", title="Dear hat", category=hats, brand=shop.brand("Acme"), price=90, stock=1)
    shop.product("2", title="Cheap hat", category=hats, brand=shop.brand("Acme"), price=9, stock=1)
    shop.product("3", title="Other hat", category=hats, brand=shop.brand("Globex"), price=9, stock=1)
    shop.product("4", title="Sold hat", category=hats, brand=shop.brand("Acme"), price=9, stock=0)
    shown = page(client, "/products/?category=hats&brand=acme&price_max=50&in_stock=true&sort=name&utm_source=x")
    assert titles(shown) == ["Cheap hat"]
    chips = re.findall(r'chip--chosen" href="([^"]+)"', shown)
    assert len(chips) == 4
    assert "/products/?category=hats&amp;price_max=50&amp;in_stock=true&amp;sort=name" in chips
    assert "Up to €50.00" in shown
    assert 'href="/products/?sort=name">Clear all' in shown
    assert '<input type="checkbox" name="brand" value="acme" checked>' in shown


def test_a_branch_of_a_category_keeps_the_other_filters(client: Client) -> None:
    clothes = shop.category("Clothes")
    shop.product("1", category=shop.category("Hats", clothes), brand=shop.brand("Acme"))
    shown = page(client, "/categories/clothes/?brand=acme&category=hats")
    assert 'href="/categories/hats/?brand=acme">Hats' in shown


def test_an_empty_list_offers_to_clear_the_filters(client: Client) -> None:
    shop.product("1", price=5)
    shown = page(client, "/products/?price_min=10")
    assert "Nothing matches all of this" in shown
    assert "0 products" in shown
    assert shown.count("Clear all") == 2


def test_an_empty_or_unknown_category_is_not_found(client: Client) -> None:
    page(client, shop.category("Hats").get_absolute_url(), 404)
    page(client, "/categories/none/", 404)


@pytest.mark.parametrize(
    ("parameters", "place", "sentence"),
    [
        ("brand=nobody", 'id="brand-error"', "Unknown value: nobody."),
        ("category=%00", 'id="category-error"', "Null characters are not allowed."),
        ("price_min=9&price_max=1", 'id="price_min-error"', "The minimum price is above the maximum."),
        ("price_max=cheap", 'id="price_max-error"', "Enter a number."),
        ("sort=magic", 'id="sort-error"', "Choose another order."),
        ("brand=<script>", 'id="brand-error"', "Unknown value: &lt;script&gt;."),
    ],
)
def test_invalid_filters_are_explained_beside_their_fields(
    client: Client, parameters: str, place: str, sentence: str
) -> None:
    shop.product("1", price=5, brand=shop.brand("Acme"), category=shop.category("Hats"))
    for address in ("/products/", "/categories/hats/"):
        shown = page(client, f"{address}?{parameters}", 400)
        assert sentence in shown.split(place)[1]
        assert "Some choices cannot be used" in shown
        assert "noindex" in shown


def test_valid_filters_stay_active_beside_invalid_ones(client: Client) -> None:
    shop.product("1", price=5, brand=shop.brand("Acme"))
    shown = page(client, "/products/?brand=acme&price_max=cheap&in_stock=true", 400)
    assert 'value="acme" checked' in shown
    assert 'value="cheap"' in shown
    assert 'name="in_stock" value="true" checked' in shown


def test_a_category_page_shows_descendants_and_breadcrumbs(client: Client) -> None:
    clothes = shop.category("Clothes")
    shirts = shop.category("Shirts", clothes)
    shop.product("1", title="Red shirt", category=shop.category("Linen", shirts))
    shop.product("2", title="Green hat", category=shop.category("Hats", clothes))
    listed = page(client, shirts.get_absolute_url())
    assert "Red shirt" in listed
    assert "Green hat" not in listed
    assert 'class="crumbs"' in listed
    assert f'href="{clothes.get_absolute_url()}">Clothes' in listed.split('class="crumbs"')[1]
    assert 'href="/categories/linen/">Linen' in listed


def test_a_category_may_be_named_in_any_script(client: Client) -> None:
    made = Category.objects.create(name="Рубашки", slug="рубашки")
    shop.product("1", category=made)
    assert "Рубашки" in page(client, made.get_absolute_url())


# A product --------------------------------------------------------------------------------------------------


def test_a_product_page_shows_all_its_fields(client: Client) -> None:
    made = shop.product(
        "S-1",
        DRAWN,
        title="Red shirt",
        description="Soft.\n\nWarm.",
        brand=shop.brand("Acme"),
        category=shop.category("Shirts"),
        price=Decimal("1049.5"),
        stock=2,
        attributes={"items": ["wool", "silk"], "second_colour": "blue", "empty": None},
        external_url="https://shop.example/s-1",
    )
    shown = page(client, made.get_absolute_url())
    for words in ("Red shirt", "<p>Warm.</p>", "Acme", "Shirts", "€1,049.50", "Only 2 left", "wool, silk", "S-1"):
        assert words in shown
    assert "Second colour" in shown
    assert "Empty" not in shown
    assert 'href="https://shop.example/s-1" rel="noopener noreferrer"' in shown


@pytest.mark.parametrize(
    "stored", ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//shop.example/"]
)
def test_a_stored_address_that_is_not_on_the_web_is_not_linked(client: Client, stored: str) -> None:
    made = shop.product("1", DRAWN, external_url=stored)
    shown = page(client, made.get_absolute_url())
    assert "See it in the shop" not in shown
    assert f'href="{stored}' not in shown
    assert client.get("/api/v1/products/1/").json()["external_url"] == ""


def test_texts_of_staff_are_escaped(client: Client) -> None:
    made = shop.product("1", title="<b>x</b>", description="<script>1</script>", attributes={"<i>": "<u>"})
    shown = page(client, made.get_absolute_url())
    for tag in ("<b>x", "<script>1", "<i>", "<u>"):
        assert tag not in shown


@pytest.mark.parametrize("attributes", [[], ["a"], "text", 3])
def test_attributes_of_another_shape_are_left_out(client: Client, attributes: Any) -> None:
    page(client, shop.product("1", attributes=attributes).get_absolute_url())


def test_a_sold_out_product_says_so(client: Client) -> None:
    made = shop.product("1", stock=0)
    assert "Sold out" in page(client, made.get_absolute_url())
    assert "Sold out" in page(client, "/products/")


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_a_product_shows_renditions_and_never_loads_an_original(client: Client, kind: str) -> None:
    made = shop.product("1", encoded(picture(size=(1200, 1600)), kind))
    shown = page(client, made.get_absolute_url())
    image = made.photos.get()
    (tag,) = images_of(shown)
    assert f'src="{image.large.url}"' in tag
    assert f'srcset="{image.thumbnail.url} 480w, {image.large.url} 960w"' in tag
    assert image.file.url not in tag


def test_a_card_lets_the_browser_choose_between_the_renditions(client: Client) -> None:
    image = shop.product("1", encoded(picture(size=(1200, 1600)))).photos.get()
    (tag,) = images_of(page(client, "/products/"))
    assert f'srcset="{image.thumbnail.url} 480w, {image.large.url} 960w" sizes="' in tag


def test_home_loads_categories_first_and_new_products_lazily(client: Client) -> None:
    shop.fill(per_kind=1)
    tags = images_of(page(client, "/"))
    assert ['loading="lazy"' in tag for tag in tags] == [False] + [True] * 10


def test_the_first_row_is_loaded_eagerly_and_others_lazily(client: Client) -> None:
    shop.fill(per_kind=1)
    tags = images_of(page(client, "/products/"))
    assert len(tags) > 5
    assert ['loading="lazy"' in tag for tag in tags] == [False] * 5 + [True] * (len(tags) - 5)
    assert ['fetchpriority="high"' in tag for tag in tags] == [True] + [False] * (len(tags) - 1)


def test_only_the_first_photo_of_a_product_is_loaded_at_once(client: Client) -> None:
    made = shop.product("1", DRAWN, photo("hat"), photo("dress"))
    tags = images_of(page(client, made.get_absolute_url()).split('class="thumbs"')[0])
    assert ['loading="lazy"' in tag for tag in tags] == [False, True, True]
    assert 'fetchpriority="high"' in tags[0]


def test_every_picture_has_a_size_and_an_alternative(client: Client) -> None:
    made = shop.product("1", DRAWN)
    for address in ("/", "/products/", made.get_absolute_url()):
        for attributes in images_of(page(client, address)):
            assert 'width="240"' in attributes
            assert 'height="320"' in attributes
            assert "alt=" in attributes


def test_a_product_page_shows_similar_products(client: Client) -> None:
    products = shop.fill(per_kind=1)
    indexing.reconcile()
    similar = page(client, products[0].get_absolute_url()).split('id="similar"')[1]
    assert "shirt-blue-0" in similar
    assert f"{products[0].get_absolute_url()}" not in similar


def test_a_product_page_works_without_an_index(client: Client) -> None:
    made = shop.product("1", DRAWN, title="Red shirt")
    shown = page(client, made.get_absolute_url())
    assert "Red shirt" in shown
    assert 'id="similar"' not in shown


def test_without_scripts_photos_link_to_the_whole_picture(client: Client) -> None:
    made = shop.product("1", photo(seed=1), photo(seed=2))
    shown = page(client, made.get_absolute_url())
    for number, image in enumerate(made.photos.all(), 1):
        assert f'href="{image.file.url}"' in shown
        assert f'href="#photo-{number}"' in shown
        assert f'id="photo-{number}"' in shown
    assert "Photo 2 of 2" in shown
    single = shop.product("2", photo(seed=3))
    assert "#photo-1" not in page(client, single.get_absolute_url())


def test_a_product_shows_its_colours_and_offers_the_search(client: Client) -> None:
    made = shop.product("S-1", photo("shirt", "#b03030"))
    indexing.reconcile()
    shown = page(client, made.get_absolute_url())
    assert "Red" in shown.split('class="tints"')[1].split("</ul>")[0]
    assert '<button class="button" name="product" value="S-1">Find similar' in shown


# Metadata of pages -------------------------------------------------------------------------------


def data(shown: str) -> dict[str, Any]:
    """The page's structured data by type."""
    scripts = re.findall(r'<script type="application/ld\+json">(.*?)</script>', shown, re.DOTALL)
    return {one["@type"]: one for one in map(json.loads, scripts)}


def test_a_product_describes_itself_to_machines(client: Client) -> None:
    clothes = shop.category("Clothes")
    made = shop.product(
        "S-1",
        DRAWN,
        title="Red shirt",
        description="Soft.",
        brand=shop.brand("Acme"),
        category=shop.category("Shirts", clothes),
        price=Decimal("49.5"),
        stock=0,
    )
    shown = page(client, made.get_absolute_url())
    assert data(shown)["Product"] == {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": "Red shirt",
        "sku": "S-1",
        "description": "Soft.",
        "url": "http://testserver/products/S-1/",
        "image": ["http://testserver" + made.photos.get().file.url],
        "brand": {"@type": "Brand", "name": "Acme"},
        "category": "Clothes > Shirts",
        "offers": {
            "@type": "Offer",
            "url": "http://testserver/products/S-1/",
            "price": "49.50",
            "priceCurrency": "EUR",
            "availability": "https://schema.org/OutOfStock",
        },
    }
    assert [step["name"] for step in data(shown)["BreadcrumbList"]["itemListElement"]] == [
        "All products",
        "Clothes",
        "Shirts",
        "Red shirt",
    ]


@pytest.mark.parametrize(
    ("external", "offered"),
    [
        ("https://shop.example/1", "https://shop.example/1"),
        ("javascript:alert(1)", "http://testserver/products/1/"),
        ("ftp://shop.example/1", "http://testserver/products/1/"),
    ],
)
def test_an_offer_has_a_web_address(client: Client, external: str, offered: str) -> None:
    made = shop.product("1", price=Decimal(1), external_url=external)
    assert data(page(client, made.get_absolute_url()))["Product"]["offers"]["url"] == offered


def test_a_product_without_price_makes_no_offer(client: Client) -> None:
    assert "offers" not in data(page(client, shop.product("1").get_absolute_url()))["Product"]


def test_structured_data_cannot_end_its_script(client: Client) -> None:
    made = shop.product("1", title="</script><b>&amp;", description="<!--<script>")
    shown = page(client, made.get_absolute_url())
    assert data(shown)["Product"]["name"] == made.title
    assert data(shown)["Product"]["description"] == made.description
    assert "</script><b>" not in shown
    assert "<!--<script>" not in shown


@pytest.mark.parametrize("path", ["/", "/products/", "/categories/hats/", "/products/a%252Fb/"])
def test_pages_name_their_own_address_and_their_other_languages(client: Client, path: str) -> None:
    shop.product("a/b", DRAWN, category=shop.category("Hats"))
    for prefix, locale in (("", "en_US"), ("/ja", "ja_JP")):
        shown = page(client, f"{prefix}{path}?utm_source=letter")
        assert f'<link rel="canonical" href="http://testserver{prefix}{path}">' in shown
        assert f'hreflang="en" href="http://testserver{path}"' in shown
        assert f'hreflang="ja" href="http://testserver/ja{path}"' in shown
        assert f'hreflang="x-default" href="http://testserver{path}"' in shown
        assert f'property="og:locale" content="{locale}"' in shown
        assert f'property="og:url" content="http://testserver{prefix}{path}"' in shown
        assert 'property="og:image" content="http://testserver/media/' in shown
        assert "noindex" not in shown


def test_filtered_lists_are_followed_but_not_indexed(client: Client) -> None:
    for number in range(30):
        shop.product(str(number), price=number, brand=shop.brand("Acme"))
    for parameters in ("brand=acme", "sort=price_up", "in_stock=true&page=2"):
        shown = page(client, f"/products/?{parameters}")
        assert '<meta name="robots" content="noindex, follow">' in shown
        assert '<link rel="canonical" href="http://testserver/products/">' in shown
    second = page(client, "/products/?page=2&sort=newest")
    assert '<link rel="canonical" href="http://testserver/products/?page=2">' in second
    assert "noindex" not in second


def test_a_description_is_short_and_of_one_line(client: Client) -> None:
    made = shop.product("1", description="Soft.\n\n" + "Warm. " * 100)
    described = re.findall(r'<meta name="description" content="([^"]+)"', page(client, made.get_absolute_url()))
    assert described[0].startswith("Soft. Warm.")
    assert len(described[0]) == 160


# Queries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_kind", [1, 3])
@pytest.mark.parametrize(
    ("address", "queries"),
    [
        ("/", 6),  # categories; products, their photos; the newest of each category, its product and photos
        ("/products/", 8),  # categories; products, their photos, how many; four facets
        ("/categories/clothes/", 8),
        ("/products/?category=hat&brand=globex&price_max=900&in_stock=true&sort=name", 10),  # are there such slugs?
    ],
)
def test_the_queries_of_a_list_do_not_grow_with_its_length(
    client: Client, django_assert_num_queries: Any, address: str, queries: int, per_kind: int
) -> None:
    shop.fill(per_kind)
    with django_assert_num_queries(queries):
        page(client, address)


@pytest.mark.parametrize("per_kind", [1, 3])
def test_the_queries_of_a_product_page_do_not_grow(
    client: Client, django_assert_num_queries: Any, per_kind: int
) -> None:
    made = shop.fill(per_kind)[0]
    shop.add_photo(made, photo(seed=50), 1)
    indexing.reconcile()
    page(client, made.get_absolute_url())  # the index is loaded
    # The product, its photos, the categories; the colours; seven for the rows beside it (`test_alternatives`).
    with django_assert_num_queries(11):
        assert 'id="similar"' in page(client, made.get_absolute_url())


# Files of photos ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_", "content_type"), [("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_photo_is_cacheable_and_only_a_picture(client: Client, format_: str, content_type: str) -> None:
    image = shop.product("1", encoded(picture(), format_)).photos.get()
    response: Any = client.get(image.file.url)
    assert b"".join(response.streaming_content) == shop.content(image)
    assert response["Content-Type"] == content_type
    assert response["Cache-Control"] == "public, max-age=31536000, s-maxage=600, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


def test_a_cached_photo_is_not_sent_again(client: Client) -> None:
    image = shop.product("1", DRAWN).photos.get()
    first: Any = client.get(image.thumbnail.url)
    first.close()
    assert first["ETag"].startswith('"')
    for asked in ({"if-none-match": first["ETag"]}, {"if-modified-since": first["Last-Modified"]}):
        again = client.get(image.thumbnail.url, headers=asked)
        assert again.status_code == 304
        assert again.content == b""
        assert (again["ETag"], again["Cache-Control"]) == (first["ETag"], first["Cache-Control"])
    other: Any = client.get(image.thumbnail.url, headers={"if-none-match": '"another"'})
    assert other.status_code == 200
    other.close()


def test_a_photo_allows_get_and_head_only(client: Client) -> None:
    image = shop.product("1", DRAWN).photos.get()
    response: Any = client.head(image.file.url)
    assert (response.status_code, response.getvalue()) == (200, b"")
    assert int(response["Content-Length"]) == len(DRAWN)
    assert response["Content-Type"] == "image/jpeg"
    assert client.post(image.file.url).status_code == 405


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_that_leads_out_of_the_photos_folder_is_not_followed(
    client: Client, settings: Any, linked: str
) -> None:
    image = shop.product("1", DRAWN).photos.get()
    stored = settings.MEDIA_ROOT / (image.file.name or "")
    place = stored if linked == "file" else stored.parent
    outside = settings.MEDIA_ROOT.parent / "outside"
    place.rename(outside)
    place.symlink_to(outside)
    assert client.get(image.file.url).status_code == 404
    place.unlink()
    outside.rename(place)
    response: Any = client.get(image.file.url)
    assert b"".join(response.streaming_content) == DRAWN


def test_the_photos_folder_itself_may_be_a_link(client: Client, settings: Any) -> None:
    disk = settings.MEDIA_ROOT.parent / "disk"
    disk.mkdir()
    settings.MEDIA_ROOT.symlink_to(disk)
    image = shop.product("1", DRAWN).photos.get()
    response: Any = client.get(image.file.url)
    assert b"".join(response.streaming_content) == DRAWN


@pytest.mark.parametrize(
    "path",
    [
        "missing.jpg", "photos", "", "../db.sqlite3", "../queries/a.jpg", "%2e%2e/queries/a.jpg", "evil.html",
        "folder.jpg", "a.jpg/b.jpg", "/etc/hosts.jpg", "%00.jpg", "x" * 300 + ".jpg",
    ],
)  # fmt: skip
def test_only_photos_are_served(client: Client, settings: Any, path: str) -> None:
    (settings.MEDIA_ROOT / "folder.jpg").mkdir(parents=True)
    (settings.MEDIA_ROOT / "a.jpg").write_bytes(DRAWN)
    (settings.MEDIA_ROOT / "evil.html").write_bytes(b"private")
    private = settings.MEDIA_ROOT.parent / "queries"
    private.mkdir(exist_ok=True)
    (private / "a.jpg").write_bytes(b"private")
    assert client.get(f"/media/{path}").status_code in {400, 404}


def test_an_unused_file_is_not_served(client: Client, settings: Any) -> None:
    image = shop.product("1", DRAWN).photos.get()
    image.product.delete()
    place = settings.MEDIA_ROOT / (image.file.name or "")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(DRAWN)
    assert client.get(image.file.url).status_code == 404


# Prices and layout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        ("49", "EUR", "€49.00"),
        ("1234567.5", "USD", "$1,234,567.50"),
        ("4900.00", "JPY", "¥4,900"),
        ("4900.50", "JPY", "¥4,900.50"),
        ("49.90", "CHF", "49.90\N{NO-BREAK SPACE}CHF"),
        ("0", "GBP", "£0.00"),
    ],
)
def test_prices_read_as_in_a_shop(amount: str, currency: str, words: str) -> None:
    assert money(Decimal(amount), currency) == words


@pytest.mark.parametrize(("amount", "typed"), [("49.50", "49.50"), ("1200.00", "1200"), ("100", "100"), (None, "")])
def test_prices_in_form_fields_have_no_currency(amount: str | None, typed: str) -> None:
    assert plain_number(None if amount is None else Decimal(amount)) == typed


def test_pages_can_be_walked_by_landmarks(client: Client) -> None:
    home = page(client, "/")
    for mark in ('<html lang="en"', 'href="#content"', '<main id="content"', "<header", "<nav", "<footer"):
        assert mark in home


def test_a_missing_page_offers_the_search(client: Client) -> None:
    missing = page(client, "/nothing/here/", 404)
    assert "There is nothing here" in missing
    assert 'name="image"' in missing


def test_a_form_from_another_site_is_refused_with_advice() -> None:
    response = Client(enforce_csrf_checks=True).post("/search/")
    assert response.status_code == 403
    assert "reload" in response.content.decode()


def test_the_error_page_needs_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Product.objects, "visible", broken)
    response = Client(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert "Something went wrong" in response.content.decode()
