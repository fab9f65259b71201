"""What belongs to an index version stays with it: its model, its colour code and its embeddings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from catalogue.models import Product, ProductImage
from search.admin import neighbours, states
from search.lifecycle import activation, building, upkeep
from search.models import Embedding, IndexVersion
from search.reading import results
from search.reading.alternatives import alternatives
from search.vision import colours
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid")]


@pytest.fixture
def new_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release with other colour code, which keeps the code that it replaces."""
    former = colours.look

    def look(square: Any, *, boxed: bool = False) -> Any:
        block, named = former(square, boxed=boxed)
        return block[::-1], [colours.Named("pink", 1.0) for _ in named[:1]]

    monkeypatch.setattr(colours, "COLOURS_VERSION", 2)
    monkeypatch.setitem(colours.EXTRACTORS, 2, look)


def answers() -> dict[str, Any]:
    """What shoppers and staff are shown of the live version, with scores."""
    product = Product.objects.prefetch_related("photos").order_by("pk")[0]
    image = states.with_entries(ProductImage.objects.order_by("pk")).first()
    assert image is not None
    upload = results.similar_to_picture(photo("dress", "#4060a0", seed=77), 8)
    compared = neighbours.compare(image, 0.5, visible=True)
    return {
        "upload": [(result.product.sku, result.score, result.match) for result in upload],
        "product": [(result.product.sku, result.score) for result in results.similar_to(product, 8)],
        "alternatives": [
            [(one.product.sku, one.match, one.colour) for one in row] for row in vars(alternatives(product)).values()
        ],
        "neighbours": [(one.photo_id, one.score, one.colour, one.names) for one in compared.neighbours],
    }


def during_the_build(monkeypatch: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    """Have `look` called when the new version is complete and not live yet."""
    activate = activation.activate

    def looked(*given: Any, **options: Any) -> IndexVersion:
        look()
        return activate(*given, **options)

    monkeypatch.setattr(activation, "activate", looked)


def test_the_live_version_answers_with_its_own_colours_while_one_with_new_colours_is_built(
    products: list[Product], new_colours: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers()
    seen: list[dict[str, Any]] = []
    during_the_build(monkeypatch, lambda: seen.append(answers()))
    version = building.rebuild(force=True)
    assert seen == [before]
    assert version.colours_version == 2
    assert answers() != before


def test_photos_that_come_before_the_rebuild_are_indexed_with_the_colours_of_the_live_version(
    products: list[Product], new_colours: None
) -> None:
    from search.writing import indexing

    added = shop.product("late", photo("hat", "#cc2229", seed=5)).photos.get()
    assert indexing.sync().indexed == 1
    assert Embedding.objects.get(digest=added.sha256).colours_version == 1
    assert results.similar_to(Product.objects.get(sku="late"), 3)


def test_a_rebuild_with_new_colours_keeps_the_embeddings_of_both_until_the_former_version_goes(
    products: list[Product], new_colours: None
) -> None:
    photos = ProductImage.objects.count()
    former = IndexVersion.objects.get()
    building.rebuild(force=True)
    assert Embedding.objects.of(former).count() == photos
    assert Embedding.objects.of_live().count() == photos
    Grid.calls = 0
    building.rebuild(force=True)
    assert Grid.calls == 0, "The model is not asked again for what is stored."
    upkeep.drop_retired(grace=timedelta(seconds=-1))
    assert not IndexVersion.objects.filter(pk=former.pk).exists()
    assert Embedding.objects.count() == photos


def test_embeddings_of_one_content_are_unique_in_their_space(products: list[Product]) -> None:
    row = Embedding.objects.all()[0]
    row.pk, row.colours_version, row.colour = None, 2, Embedding.pack(np.zeros(colours.WIDTH))
    row.save()
    assert Embedding.objects.filter(digest=row.digest).count() == 2
    assert Embedding.objects.of_live().filter(digest=row.digest).count() == 1
