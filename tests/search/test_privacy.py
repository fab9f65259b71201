"""Search tells nothing of products that shoppers may not see, and keeps what shoppers send to themselves."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalogue.models import Product, ProductImage
from search import versions
from search.models import Query
from search.reading import alternatives, queries, ranking, results
from search.reading.refinement import Refinement
from search.writing import indexing
from search.writing.embedding import embed
from tests import shop
from tests.catalogue.test_metadata import SECRET, dirty
from tests.catalogue.test_privacy import answer, hide
from tests.drawing import encoded, photo, picture
from tests.search.grid import Grid

pytestmark = pytest.mark.django_db

HIDDEN, ABSENT = "hat-red-0", "hat-rex-0"
BLUE_DRESS = photo("dress", shop.COLOURS["blue"], seed=9)


@pytest.fixture
def products(grid: type[Grid]) -> list[Product]:
    """A shop with one product of each kind and colour, of which one has just been hidden."""
    made = shop.fill(per_kind=1)
    indexing.reconcile()
    hide(Product.objects.get(sku=HIDDEN))
    indexing.reconcile()
    return made


@pytest.fixture
def query(products: list[Product]) -> Query:
    return queries.from_picture(BLUE_DRESS)


def ranked(query: Query, **refinement: Any) -> list[tuple[int, int, float]]:
    return ranking.rank(query, Refinement(**refinement)).rows


# Hidden products --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["like", "dislike"])
def test_a_wish_for_a_hidden_product_ranks_as_one_for_none(query: Query, wish: str) -> None:
    plain = ranked(query)
    assert ranked(query, **{wish: (HIDDEN,)}) == plain == ranked(query, **{wish: (ABSENT,)})
    # One that is shown does change the ranking.
    assert ranked(query, **{wish: ("hat-blue-0",)}) != plain
    Product.objects.filter(sku=HIDDEN).update(visible_until=None)
    indexing.reconcile()
    assert ranked(query, **{wish: (HIDDEN,)}) != ranked(query)


@pytest.mark.parametrize("wish", ["like", "dislike"])
def test_the_page_answers_it_as_one_for_none(client: Client, query: Query, wish: str) -> None:
    address = query.get_absolute_url()
    client.get(address)

    def shown(sku: str) -> tuple[Any, ...]:
        status, headers, body, queries = answer(client, f"{address}?{wish}={sku}", sku)
        # Each list has a key of its own.
        return status, headers, body.partition("list=")[0], queries

    assert shown(HIDDEN) == shown(ABSENT)
    assert shown(HIDDEN)[0] == 200


@pytest.mark.parametrize(
    "pattern",
    [
        "/api/v1/search/{query}/?like={sku}",
        "/api/v1/search/{query}/?dislike={sku}",
        "/api/v1/products/{sku}/similar/",
        "/api/v1/products/hat-blue-0/similar/?like={sku}",
        "/api/v1/products/{sku}/",
        "/products/{sku}/",
    ],
)
def test_addresses_with_its_sku_are_answered_as_those_with_none(client: Client, query: Query, pattern: str) -> None:
    client.get(pattern.format(query=query.pk, sku="nothing"))
    found, other = (answer(client, pattern.format(query=query.pk, sku=sku), sku) for sku in (HIDDEN, ABSENT))
    assert found == other
    assert found[0] in {400, 404}


@pytest.mark.parametrize(
    "body",
    [
        {"product": "{}"},
        {"product": "hat-blue-0", "like": ["{}"]},
        {"product": "hat-blue-0", "dislike": ["hat-green-0", "{}"]},
    ],
)
def test_searches_with_its_sku_are_answered_as_those_with_none(
    client: Client, products: list[Product], body: dict[str, Any]
) -> None:
    def sent(sku: str) -> tuple[Any, ...]:
        data = {
            name: [one.format(sku) for one in value] if isinstance(value, list) else value.format(sku)
            for name, value in body.items()
        }
        status, headers, text, queries = answer(
            client, "/api/v1/search/", sku, data=data, content_type="application/json"
        )
        return status, {name: headers[name] for name in headers if not name.startswith("RateLimit")}, text, queries

    sent("nothing")
    assert sent(HIDDEN) == sent(ABSENT)
    assert sent(HIDDEN)[0] in {400, 404}
    assert not Query.objects.exists()


def test_the_page_to_ask_answers_its_sku_as_one_of_none(client: Client, products: list[Product]) -> None:
    found, other = (answer(client, "/search/", sku, data={"product": sku}) for sku in (HIDDEN, ABSENT))
    assert found == other
    assert found[0] == 404


def test_no_result_no_count_and_no_row_knows_of_it(client: Client, query: Query, products: list[Product]) -> None:
    gone = Product.objects.get(sku=HIDDEN)
    assert gone.pk not in {product for product, _photo, _score in ranked(query)}
    found = ranking.Search(query, Refinement(), versions.live_version()).facets()
    assert found.products == len(products) - 1
    assert found.categories[gone.category_id] == 2  # type: ignore[index]
    near = alternatives.alternatives(Product.objects.get(sku="hat-blue-0"))
    assert gone not in {one.product for row in vars(near).values() for one in row}
    pages = client.get(query.get_absolute_url()).content.decode()
    assert HIDDEN not in pages
    assert gone.photos.get().thumbnail.url not in pages


def test_a_product_that_is_hidden_after_a_list_was_made_leaves_its_pages(client: Client, query: Query) -> None:
    frozen = ranking.rank(query)
    other = Product.objects.get(sku="dress-blue-0")
    hide(other)
    assert other not in {result.product for result in results.page(frozen).results}


def test_a_search_with_a_product_is_gone_while_that_is_hidden(
    client: Client, products: list[Product], django_assert_num_queries: Any
) -> None:
    product = Product.objects.get(sku="dress-blue-0")
    query = queries.from_product(product)
    address, api = query.get_absolute_url(), f"/api/v1/search/{query.pk}/"
    assert product.title in client.get(address).content.decode()
    assert client.get(api).status_code == 200
    hide(product)
    for place in (address, api):
        response = client.get(place)
        assert response.status_code == 410
        assert product.title not in response.content.decode()
        assert product.photos.get().thumbnail.url not in response.content.decode()
    assert client.post("/api/v1/search/", {"query": str(query.pk)}).status_code == 410
    with django_assert_num_queries(1), pytest.raises(queries.QueryGone):
        queries.find(query.pk)
    Product.objects.filter(pk=product.pk).update(visible_until=None)
    assert client.get(address).status_code == 200


def test_categories_and_brands_of_hidden_products_alone_are_no_filters(client: Client, query: Query) -> None:
    secret = shop.product("S", photo("hat"), category=shop.category("Secret"), brand=shop.brand("Secretbrand"))
    hide(secret)
    for name, hidden, absent in (("category", "secret", "absent"), ("brand", "secretbrand", "absentbrand")):
        for place in (query.get_absolute_url(), f"/api/v1/search/{query.pk}/"):
            client.get(place)
            found, other = (answer(client, f"{place}?{name}={value}", value) for value in (hidden, absent))
            assert found == other
            assert found[0] == 400
        found, other = (
            answer(
                client,
                "/api/v1/search/",
                value,
                data={"product": "hat-blue-0", "filters": {name: [value]}},
                content_type="application/json",
            )
            for value in (hidden, absent)
        )
        assert (found[0], found[2]) == (other[0], other[2])
        assert found[0] == 400
    assert "ecret" not in client.get(query.get_absolute_url()).content.decode()


# Shoppers' pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_nothing_that_a_camera_has_written_is_kept_of_a_shoppers_picture(
    client: Client, products: list[Product], kind: str
) -> None:
    drawn = picture(size=(320, 240))
    data = dirty(encoded(drawn.quantize(64) if kind == "GIF" else drawn, kind), 6)
    assert SECRET in data
    sent = client.post("/search/", {"image": SimpleUploadedFile("49.05N 8.40E.jpg", data)})
    query = Query.objects.get()
    assert sent.status_code in {302, 303}
    assert SECRET not in shop.content_of(query)
    assert b"Exif" not in shop.content_of(query)
    assert query.picture.name == f"{query.pk}.jpg"


def test_the_pages_of_a_search_are_for_the_shopper_alone(client: Client, query: Query) -> None:
    address = query.get_absolute_url()
    for place in (address, f"{address}picture.jpg", f"{address}?list=0000000000000000", f"{address}?box=x"):
        response: Any = client.get(place)
        response.close()
        assert "private" in response["Cache-Control"]
        assert response["X-Robots-Tag"] == "noindex"
        assert response["Referrer-Policy"] == "same-origin"
    api = client.get(f"/api/v1/search/{query.pk}/")
    assert set(api["Cache-Control"].split(", ")) == {"private", "no-cache"}
    query.forget()
    assert "private" in client.get(f"/api/v1/search/{query.pk}/")["Cache-Control"]
    gone = client.get(address)
    assert (gone.status_code, gone["X-Robots-Tag"]) == (410, "noindex")


def test_removing_metadata_does_not_change_the_embedding(products: list[Product]) -> None:
    from search.models import Embedding, IndexVersion

    data = dirty(encoded(picture(size=(400, 300), seed=7)), 6)
    image = shop.product("new", data).photos.get()
    version = IndexVersion.objects.live()
    assert version is not None
    stored = embed(version, [image])[image.sha256]
    Embedding.objects.filter(digest=image.sha256).delete()
    ProductImage.objects.filter(pk=image.pk).update(stripped=False)
    with open(image.file.path, "wb") as file:  # noqa: PTH123 - as the version before has stored it
        file.write(data)
    again = embed(version, [image])[image.sha256]
    assert isinstance(stored, Embedding)
    assert isinstance(again, Embedding)
    assert (bytes(again.embedding), bytes(again.colour)) == (bytes(stored.embedding), bytes(stored.colour))
