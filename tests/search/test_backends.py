from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from search.backends import Backend, BackendHandler, InvalidBackend

KETTLE = f"{__name__}.Kettle"


class Kettle(Backend):
    def __init__(self, alias, *, litres=1.5, colour="red"):
        super().__init__(alias)
        if litres <= 0:
            raise ImproperlyConfigured("litres has to be more than 0.")
        time.sleep(0.01)  # long enough for two threads to build one each, if they could
        self.litres = litres

    def check(self):
        return [CheckWarning("small", id="kettle.W001")] if self.litres < 1 else []


@pytest.fixture
def kettles():
    return BackendHandler("KETTLES", Kettle)


def configured(**options):
    return override_settings(KETTLES={"default": {"BACKEND": KETTLE, "OPTIONS": options}})


def test_a_backend_is_built_once_with_its_alias_and_options(kettles):
    with configured(litres=2):
        assert kettles["default"] is kettles["default"]
        assert kettles["default"].alias == "default"
        assert kettles["default"].litres == 2


def test_options_may_be_left_out(kettles):
    with override_settings(KETTLES={"default": {"BACKEND": KETTLE}}):
        assert kettles["default"].litres == 1.5


def test_threads_share_one_backend(kettles):
    with configured(), ThreadPoolExecutor(4) as threads:
        built = set(threads.map(lambda _: kettles["default"], range(8)))
    assert len(built) == 1


def test_an_overridden_setting_makes_a_new_backend(kettles):
    with configured(litres=2):
        before = kettles["default"]
        with configured(litres=3):
            assert kettles["default"].litres == 3
        assert kettles["default"].litres == 2
        assert kettles["default"] is not before


def test_an_unknown_alias_is_refused_with_the_known_ones(kettles):
    with configured(), pytest.raises(InvalidBackend, match=r"KETTLES\['spare'\].*Known aliases: 'default'"):
        kettles["spare"]


def test_a_sound_setting_passes_the_check(kettles):
    with configured(litres=2, colour="blue"):
        assert kettles.check() == []


def test_the_check_asks_each_backend(kettles):
    with configured(litres=0.5):
        assert [message.id for message in kettles.check()] == ["kettle.W001"]


def test_a_misspelt_option_fails_the_check_with_the_options_there_are(kettles):
    with configured(liters=2):
        [message] = kettles.check()
    assert "KETTLES['default']" in message.msg
    assert "'liters'" in message.msg
    assert message.hint == "Options of Kettle: litres, colour."


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"BACKEND": "search.nowhere.Kettle"}, "cannot be imported"),
        ({"BACKEND": "Kettle"}, "cannot be imported"),
        ({"BACKEND": "collections.OrderedDict"}, "is no Kettle"),
        ({"BACKEND": "math.sqrt"}, "is no Kettle"),
        ({"BACKEND": KETTLE, "OPTION": {}}, "misshapen"),
        ({"OPTIONS": {}}, "misshapen"),
        (KETTLE, "misshapen"),
        ({"BACKEND": KETTLE, "OPTIONS": {"litres": -1}}, "litres has to be more than 0"),
    ],
)
def test_a_wrong_setting_fails_the_check_with_a_sentence(kettles, config, sentence):
    with override_settings(KETTLES={"default": config}):
        [message] = kettles.check()
        assert sentence in message.msg
        with pytest.raises(InvalidBackend, match=sentence):
            kettles["default"]


def test_a_setting_without_default_fails_the_check(kettles):
    with override_settings(KETTLES={}):
        [message] = kettles.check()
    assert 'no "default"' in message.msg


def test_an_outdated_backend_is_rebuilt(kettles):
    with configured():
        first = kettles["default"]
        first.outdated = True
        second = kettles["default"]
        assert second is not first
        assert kettles["default"] is second
