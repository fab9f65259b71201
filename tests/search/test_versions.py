"""What belongs to an index version stays with it: its model, its colour code and its embeddings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from catalogue.models import Product, ProductImage
from search.admin import neighbours, states
from search.lifecycle import activation, building, jobs, upkeep
from search.models import KEPT, Embedding, IndexJob, IndexVersion
from search.reading import results
from search.reading.alternatives import alternatives
from search.reading.refinement import Refinement
from search.vision import colours
from search.writing import embedding, indexing
from tests import shop
from tests.drawing import photo
from tests.search.grid import Grid, configured

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
    liking = Refinement(like=("hat-red-0",), colour_weight=0.4)
    compared = neighbours.compare(image, 0.5, visible=True)
    return {
        "upload": [(result.product.sku, result.score, result.match) for result in upload],
        "product": [(result.product.sku, result.score) for result in results.similar_to(product, 8)],
        "liked": [(result.product.sku, result.score) for result in results.similar_to(product, 8, liking)],
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


def test_the_live_version_keeps_its_colours_during_a_build(
    products: list[Product], new_colours: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers()
    seen: list[dict[str, Any]] = []
    during_the_build(monkeypatch, lambda: seen.append(answers()))
    version = building.rebuild(force=True)
    assert seen == [before]
    assert version.colours_version == 2
    assert answers() != before


def test_new_photos_are_indexed_with_the_live_versions_colours(products: list[Product], new_colours: None) -> None:
    added = shop.product("late", photo("hat", "#cc2229", seed=5)).photos.get()
    assert indexing.sync().indexed == 1
    assert Embedding.objects.get(digest=added.sha256).colours_version == 1
    assert results.similar_to(Product.objects.get(sku="late"), 3)


def test_embeddings_of_both_colour_versions_are_kept_while_used(products: list[Product], new_colours: None) -> None:
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
    assert upkeep.delete_orphans() == photos
    assert set(Embedding.objects.values_list("colours_version", flat=True)) == {2}


def test_embeddings_of_one_content_are_unique_in_their_space(products: list[Product]) -> None:
    row = Embedding.objects.all()[0]
    row.pk, row.colours_version, row.colour = None, 2, Embedding.pack(np.zeros(colours.WIDTH))
    row.save()
    assert Embedding.objects.filter(digest=row.digest).count() == 2
    assert Embedding.objects.of_live().filter(digest=row.digest).count() == 1


def test_embeddings_that_no_version_and_no_model_uses_are_deleted(products: list[Product], settings: Any) -> None:
    photos = ProductImage.objects.count()
    settings.EMBEDDERS = {"default": configured(), "other": configured("other")}
    embedding.embed(building.draft("other"), ProductImage.objects.all())
    assert upkeep.delete_orphans() == 0, "A rebuild with this model has begun, or is started again."
    settings.EMBEDDERS = {"default": configured()}
    assert upkeep.delete_orphans() == photos
    assert set(Embedding.objects.values_list("fingerprint", flat=True)) == {"grid"}


def test_dropping_a_version_keeps_the_embeddings_of_a_build_in_its_space(
    products: list[Product], settings: Any
) -> None:
    settings.EMBEDDERS = {"default": configured(), "other": configured("other")}
    building.rebuild("other", force=True)
    former = IndexVersion.objects.get(fingerprint="grid")
    draft = building.draft("default")
    upkeep.drop_retired(grace=-2 * KEPT)
    upkeep.delete_orphans()
    assert not IndexVersion.objects.filter(pk=former.pk).exists()
    assert Embedding.objects.of(draft).count() == ProductImage.objects.count()


@pytest.mark.parametrize("rebuilding", [True, False])
def test_no_unused_embeddings_are_deleted_during_a_rebuild(
    products: list[Product], new_colours: None, monkeypatch: pytest.MonkeyPatch, *, rebuilding: bool
) -> None:
    photos = ProductImage.objects.count()
    embedding.embed(building.draft("default"), ProductImage.objects.all())
    monkeypatch.setattr(colours, "COLOURS_VERSION", 1)  # as a worker of the former release
    if rebuilding:
        with jobs.recorded(IndexJob.Kind.REBUILD):
            assert upkeep.delete_orphans() == 0
    else:
        assert upkeep.delete_orphans() == photos


def test_no_unused_embeddings_are_deleted_while_a_model_is_unknown(products: list[Product], settings: Any) -> None:
    embedding.embed(building.draft("default"), ProductImage.objects.all())
    Embedding.objects.update(fingerprint="former")
    settings.EMBEDDERS = {"default": configured(), "broken": {"BACKEND": "no.such.Embedder"}}
    assert upkeep.delete_orphans() == 0


@pytest.mark.django_db(transaction=True)
def test_the_migration_backwards_keeps_the_newest_colours() -> None:
    def migrate(*target: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([target])
        return executor.loader.project_state([target]).apps.get_model("search", "Embedding")

    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes("search")
    for digest, colours_version in [("a", 1), ("a", 2), ("b", 1)]:
        Embedding.objects.create(
            digest=digest, fingerprint="grid", embedding=b"", colour=b"", colours_version=colours_version
        )
    try:
        former = migrate("search", "0007_throttle_windows")
        assert set(former.objects.values_list("digest", "colours_version")) == {("a", 2), ("b", 1)}
        with pytest.raises(IntegrityError):
            former.objects.create(digest="a", fingerprint="grid", embedding=b"", colour=b"", colours_version=3)
    finally:
        migrate(*leaves[0])
    assert set(Embedding.objects.values_list("digest", "colours_version")) == {("a", 2), ("b", 1)}
