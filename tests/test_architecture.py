"""What the documentation of the architecture promises of the code's shape."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.interpreter import ROOT, python

APPS = ("resilience", "jobs", "catalogue", "search", "evaluation", "demo", "visualsearch")
#: what of the model server may know the site: fine-tuning on its catalogue
KNOWING = {"endpoint/photos.py", "endpoint/training.py"}
HEAVY = (
    "openvino",
    "faiss",
    "sklearn",
    "scipy",
    "pillow_heif",
    "boto3",
    "botocore",
    "tensorflow",
    "keras",
    "storages",
    "opensearchpy",
)
#: what is for production alone, and loaded where a variable asks for it; psycopg, REST framework looks for by itself
PRODUCTION = ("celery", "kombu", "redis")


def modules(app: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / app).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """The full names of everything that a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Imports are absolute."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is called as an attribute: the expression before the dot, and the name after it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr


@pytest.mark.parametrize(
    ("app", "above"),
    [
        ("resilience", {"jobs", "catalogue", "search", "visualsearch"}),
        ("jobs", {"catalogue", "search", "visualsearch"}),
        ("catalogue", {"search", "visualsearch"}),
        ("search", {"visualsearch"}),
    ],
)
def test_imports_go_one_way(app: str, above: set[str]) -> None:
    wrong = [
        (str(path), name) for path, tree in modules(app) for name in imports(tree) if name.partition(".")[0] in above
    ]
    assert wrong == []


@pytest.mark.parametrize("app", ["catalogue", "search"])
def test_no_modules_import_each_other(app: str) -> None:
    """Neither at their tops, nor in functions, nor for types alone."""
    trees = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): tree for path, tree in modules(app)}
    graph = {
        module: {name if name in trees else name.rpartition(".")[0] for name in imports(tree)}
        & trees.keys() - {module}
        for module, tree in trees.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


#: The packages of search from the bottom up: each may import what stands before it, and nothing of its own line.
LAYERS = [
    {"exceptions"},
    {"backends"},
    {"vision"},
    {"models"},
    {"indexes"},
    {"versions"},
    {"reading", "writing"},
    {"lifecycle"},
    {"broker"},
    {"web", "admin", "templatetags"},
]


def test_packages_of_search_import_only_downwards() -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    entry_points = {"apps", "checks", "management", "migrations", "receivers", "tasks", "urls", "worker", "__init__"}
    wrong = []
    for path, tree in modules("search"):
        package = path.with_suffix("").parts[1]
        assert package in level.keys() | entry_points, f"{path} needs a place in LAYERS."
        for name in imports(tree):
            top, _dot, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top != "search" or package not in level or other == package:
                continue
            if level.get(other, len(LAYERS)) >= level[package]:
                wrong.append((str(path), name))
    # A message names its task; the ledger below it says what is to be done.
    assert wrong == [("search/broker.py", "search.tasks")]


def test_the_folder_of_search_fits_on_a_screen() -> None:
    assert len(list((ROOT / "search").glob("*.py"))) <= 12


def test_search_imports_only_metrics_from_evaluation() -> None:
    wrong = [
        (str(path), name)
        for app in ("catalogue", "search")
        for path, tree in modules(app)
        for name in imports(tree)
        if name.startswith(("evaluation.", "demo.")) and not name.startswith("evaluation.metrics.")
    ]
    assert wrong == []


def test_the_site_and_the_model_server_share_the_model_archive_alone() -> None:
    knowing = {
        str(path)
        for app in ("endpoint", "modelarchive")
        for path, tree in modules(app)
        if {name.partition(".")[0] for name in imports(tree)} & {*APPS, "django"}
    }
    assert knowing == KNOWING
    for app in (*APPS, "modelarchive"):
        for path, tree in modules(app):
            assert "endpoint" not in {name.partition(".")[0] for name in imports(tree)}, path


def test_one_module_decodes_pictures() -> None:
    decoding = {
        str(path)
        for app in APPS
        for path, tree in modules(app)
        if ("Image", "open") in calls(tree)
        or any("pillow_heif" in name or name.endswith("ImagePlugin") for name in imports(tree))
    }
    assert decoding == {"catalogue/images.py"}


def test_one_module_resizes_for_the_model() -> None:
    resizing = {
        str(path) for path, tree in modules("search") if {name for _value, name in calls(tree)} & {"resize", "reduce"}
    }
    # Those that look at a small copy of the square, and the one that spoils pictures to measure search with.
    others = {"search/vision/colours.py", "evaluation/colour.py", "evaluation/distortions.py"}
    assert resizing - others == {"search/vision/pictures.py"}


def test_catalogue_and_queries_are_prepared_by_the_same_function() -> None:
    for path in ("search/writing/embedding.py", "search/reading/queries.py"):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert "search.vision.blocks.blocks" in set(imports(tree)), path
        assert ("pictures", "square") not in set(calls(tree)), path


def test_embeddings_are_read_only_by_version() -> None:
    """So no caller compares rows of different models or colours; one place writes them, and one deletes orphans."""
    others = {
        (str(path), name)
        for app in APPS
        for path, tree in modules(app)
        for value, name in calls(tree)
        if value == "Embedding.objects" and "migrations" not in path.parts and name not in {"of", "of_live"}
    }
    assert others == {("search/writing/embedding.py", "bulk_create"), ("search/lifecycle/upkeep.py", "filter")}


def test_no_module_has_a_vague_name() -> None:
    vague = {"utils", "helpers", "services", "common", "misc"}
    assert [
        str(path) for app in (*APPS, "endpoint", "modelarchive") for path, _tree in modules(app) if path.stem in vague
    ] == []


def test_starting_the_site_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, django\n"
        "django.setup()\n"
        "from django.core.checks import run_checks\n"
        "import visualsearch.urls, visualsearch.api_urls, search.receivers\n"
        "import search.writing.indexing, search.reading.results\n"
        "run_checks()\n"
        "loaded = {name.partition('.')[0] for name in sys.modules if sys.modules[name]}\n"
        f"print(*sorted(loaded & set({HEAVY + PRODUCTION!r})))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    environment = kept | {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "visualsearch.settings"}
    done = python("-c", code, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
