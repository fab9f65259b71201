"""What the workers are told of, and that nobody's save fails or waits because they cannot be told."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Callable

import pytest
import redis
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from catalogue.models import Product, ProductImage
from resilience import breaker
from search import broker
from search.models import IndexEntry
from search.writing import ledger
from tests import shop
from tests.drawing import photo
from tests.search.workplace import Databases, Workplace
from tests.servers.redis import Redis

pytestmark = pytest.mark.servers


def sent(workplace: Workplace, queue: str = "interactive") -> list[list[int]]:
    """The photos of each message that waits in a queue, the oldest first."""
    with redis.Redis.from_url(workplace.redis_url) as client:
        waiting = [json.loads(message) for message in client.lrange(queue, 0, -1)]
    return [json.loads(base64.b64decode(message["body"]))[0][0] for message in reversed(waiting)]


def photos() -> list[int]:
    return sorted(ProductImage.objects.values_list("pk", flat=True))


def test_what_one_transaction_changes_is_one_message(workplace: Workplace) -> None:
    with transaction.atomic():
        for seed in range(3):
            shop.product(f"p{seed}", photo(seed=seed))
        Product.objects.filter(sku="p1").update(price=5)
        assert sent(workplace) == []
    assert sent(workplace) == [photos()]
    Product.objects.get(sku="p2").save()
    assert sent(workplace) == [photos(), photos()[2:]]


def test_no_message_is_sent_for_a_rolled_back_transaction(workplace: Workplace) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        shop.product("a", photo())
        raise ZeroDivisionError
    assert sent(workplace) == []


def test_a_savepoint_that_is_rolled_back_takes_nobody_elses_photos_along(workplace: Workplace) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            shop.product("a", photo())
            raise ZeroDivisionError
        with transaction.atomic():
            shop.product("b", photo())
        shop.product("c", photo())
    (told,) = sent(workplace)
    assert set(photos()) <= set(told)


def test_many_changes_at_once_wait_where_nobody_waits_for_them(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "BY_HAND", 2)
    monkeypatch.setattr(broker, "MESSAGE", 2)
    with transaction.atomic():
        for seed in range(5):
            shop.product(f"p{seed}", photo(seed=seed))
    assert sent(workplace) == []
    told = sent(workplace, "bulk")
    assert [len(ids) for ids in told] == [2, 2, 1]
    assert sorted(pk for ids in told for pk in ids) == photos()


def test_a_message_holds_keys_alone(workplace: Workplace) -> None:
    shop.product("a-secret-product", photo())
    with redis.Redis.from_url(workplace.redis_url) as client:
        (message,) = client.lrange("interactive", 0, -1)
    assert json.loads(message)["content-type"] == "application/json"
    assert b"secret" not in base64.b64decode(json.loads(message)["body"])
    assert len(message) < 1_500


# Without the broker -----------------------------------------------------------------------------------------


@pytest.fixture
def editor(
    open_workplace: Callable[[Databases, str], Workplace], sqlite_databases: Databases, own_redis: Redis
) -> Client:
    """Somebody of the staff who has signed in, in a shop whose broker is `own_redis`."""
    open_workplace(sqlite_databases, own_redis.url)
    user = get_user_model().objects.create_superuser("staff", password="long enough")
    ledger.ensure_live_version()
    shop.product("a", photo())
    client = Client()
    client.force_login(user)
    return client


def save(client: Client) -> float:
    """Save the product's photo in the admin; the seconds that it took."""
    made = Product.objects.get(sku="a")
    IndexEntry.objects.update(state="indexed")
    page = reverse("admin:catalogue_product_change", args=[made.pk])
    form = client.get(page).context["adminform"].form
    data = {
        name: "" if (value := form.get_initial_for_field(field, name)) is None else value
        for name, field in form.fields.items()
    }
    data |= {"title": "Another title", "photos-TOTAL_FORMS": 0, "photos-INITIAL_FORMS": 0}
    began = time.monotonic()
    answer = client.post(page, data)
    assert answer.status_code == 302, answer.context["errors"]
    assert Product.objects.get(sku="a").title == "Another title"
    return time.monotonic() - began


def test_a_save_in_the_admin_succeeds_while_redis_is_down(
    editor: Client, own_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.stop()
    assert save(editor) < 2
    assert IndexEntry.objects.get().state == "pending"
    assert "look for what is pending each minute" in caplog.text


def test_only_the_first_save_waits_for_a_hanging_redis(editor: Client, own_redis: Redis) -> None:
    own_redis.process.send(signal.SIGSTOP)
    assert save(editor) < 5
    assert save(editor) < 1
    assert IndexEntry.objects.get().state == "pending"
    own_redis.process.send(signal.SIGCONT)


def test_messages_go_out_again_once_redis_is_back(
    editor: Client, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "REST", 0)
    own_redis.stop()
    save(editor)
    own_redis.start().wait()
    save(editor)
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.llen("interactive") == 1
