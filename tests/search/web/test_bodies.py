"""JSON that strangers send: what is read, what is refused, and what refusing costs."""

from __future__ import annotations

import base64
import json
import random
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import APIException, ParseError

from search.web.bodies import DEEPEST, MOST_BYTES, MOST_PARTS, BodyTooLarge, BoundedJSONParser, loads
from search.web.serializers import Base64Field
from tests.cost import processor_time

PICTURE = base64.b64encode(random.Random(0).randbytes(9_000_000)).decode()


def read(body: str | bytes) -> Any:
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return BoundedJSONParser().parse(BytesIO(data))


@pytest.mark.parametrize(
    "body",
    [
        {"product": "hat-red-0"},
        {"query": "x", "k": 3, "colour_weight": 0.25, "box": [0, 0, 0.5, 1], "filters": {"category": ["a", "ü"]}},
        {"image_base64": PICTURE, "k": 24},
        {"base64img": PICTURE},
        [1, None, True],
        "text",
        {"like": [f"sku-{number}" for number in range(50)], "dislike": ["x" * 200] * 50},
    ],
    ids=lambda body: str(body)[:20],
)
def test_what_clients_send_is_read_as_it_is(body: Any) -> None:
    assert read(json.dumps(body)) == body
    assert read(json.dumps(body, ensure_ascii=False)) == body


def test_a_picture_may_have_its_slashes_escaped() -> None:
    escaped = json.dumps({"image_base64": PICTURE}).replace("/", "\\/")  # as PHP writes them
    assert len(escaped) - len(PICTURE) > MOST_BYTES
    assert read(escaped) == {"image_base64": PICTURE}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "line 1, column 1"),
        ("{", "line 1, column 2"),
        ('{"a": 1}\n{"b": 2}', "line 2, column 1"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'{"a": "\xe4"}', "UTF-8"),
        ('\ufeff{"product": "x"}', "byte order mark"),
        ('{"k": 1, "k": 2}', "duplicate name"),
        ('{"filters": {"brand": [], "brand": []}}', "duplicate name"),
        ('{"k": NaN}', "NaN"),
        ('{"k": -Infinity}', "Infinity"),
        ('{"k": 1e999}', "too large"),
        ('{"k": ' + "1" * 60_000 + "}", "too many digits"),
        ('{"k": 0.' + "1" * 60_000 + "}", "too many digits"),
        ('{"product": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), "deeply"),
        ("[" * MOST_PARTS + "]" * MOST_PARTS, "deeply"),
        ("[" * 10_000 + "]" * 10_000, "too many parts"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "too many parts"),
        (json.dumps([0] * (MOST_PARTS + 2)), "too many parts"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_not_json_or_too_much_is_refused_with_a_sentence(body: str | bytes, words: str) -> None:
    with pytest.raises(ParseError) as refused:
        read(body)
    assert refused.value.status_code == 400
    assert words in str(refused.value.detail)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"product": "x" * MOST_BYTES}),
        json.dumps({"product": "x"}) + " " * MOST_BYTES,
        json.dumps({"image_base64": "", "product": "x" * MOST_BYTES}),
        json.dumps({"image_base64": "a" * MOST_BYTES, "product": "x" * 2 * MOST_BYTES}),
        json.dumps({"filters": {"image_base64": "a" * 2 * MOST_BYTES}}),
        json.dumps(["image_base64", "a" * 2 * MOST_BYTES]),
    ],
    ids=["text", "spaces", "empty picture", "beside a picture", "within another", "in a list"],
)
def test_a_body_is_small_without_its_picture(body: str) -> None:
    with pytest.raises(BodyTooLarge) as refused:
        read(body)
    assert refused.value.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        '{"product": "x", "filters": {"category": [' + ",".join(["[]"] * 400_000) + "]}}",
        '{"like": [' + ",".join("1" * 400_000) + "]}",
        '{"a":' * 240_000,
        "[" * 1_200_000,
        '{"product": "' + "x" * 1_200_000 + '"}',
        '{"product": "' + "\\u00e4" * 200_000 + '"}',
        '{"k": ' + "9" * 1_200_000 + "}",
        '"' + "\\" * 1_200_000,
    ],
    ids=lambda body: body[:16],
)
def test_a_hostile_body_of_more_than_a_megabyte_costs_little(body: str) -> None:
    with processor_time() as spent, pytest.raises(APIException):
        read(body)
    assert spent.seconds < 0.25  # 2 ms to 10 ms


def test_a_large_picture_is_decoded_without_a_look_at_each_letter() -> None:
    with processor_time() as spent:
        data = Base64Field().run_validation(PICTURE)
    assert len(data) == 9_000_000
    assert spent.seconds < 0.5  # 0.04 s; 2.5 s where each letter is looked at in Python


def test_base64_may_have_spaces_anywhere() -> None:
    spaced = " ".join(base64.b64encode(b"picture").decode())
    assert Base64Field().run_validation(f"data:image/png;base64,\n{spaced}\r\n") == b"picture"


@given(st.text(alphabet='{}[]",:\\u0123ue-.truefalsn "', max_size=200) | st.text(max_size=200))
def test_any_text_is_read_as_python_reads_it_or_refused(text: str) -> None:
    try:
        found = loads(text)
    except ParseError:
        return
    assert found == json.loads(text)
