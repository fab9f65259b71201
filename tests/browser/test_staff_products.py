"""Staff keep the catalogue: products with their photos, many at once, tables in and out."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from playwright.sync_api import Page, expect

from benchmarks.browser import PHONE
from tests import drawing
from tests.browser import accessibility, furnishing, hands
from tests.browser import desk as admin
from tests.browser.shop import Shop

SOON = 15.0
"""Seconds within which shoppers find what staff have added; the worker looks twice a second."""
VALUES = "fields => fields.map(field => Number(field.value)).sort((one, other) => one - other)"


def own_photo(folder: Path, name: str, kind: str, colour: str) -> Path:
    path = folder / name
    path.write_bytes(drawing.photo(kind, colour, seed=len(name)))
    return path


# One product ------------------------------------------------------------------------------------------------------


def test_a_product_is_added_with_many_photos_of_which_one_is_bad(editor: Page, shop: Shop, tmp_path: Path) -> None:
    colours = ("#804020", "#205080", "#508020")
    good = [own_photo(tmp_path, f"hat-{number}.jpg", "hat", colour) for number, colour in enumerate(colours)]
    editor.goto(admin.PRODUCTS)
    editor.get_by_role("link", name="Add product").click()
    editor.get_by_label("SKU").fill("STAFF-MANY")
    editor.get_by_label("Title").fill("Hat with many photos")
    editor.get_by_label("New photos").set_input_files([*good, shop.no_picture()])
    admin.save(editor)
    admin.says(editor, "3 photos have been added.")
    admin.says(editor, "letter.jpg: ")
    expect(admin.photos(editor)).to_have_count(3)


def test_a_product_that_cannot_be_saved_says_why_at_its_field(editor: Page) -> None:
    editor.goto(f"{admin.PRODUCTS}add/")
    editor.get_by_label("SKU").fill(furnishing.SOLD_OUT)
    editor.get_by_label("Title").fill("A second one")
    admin.save(editor, "Save")
    admin.says(editor, "already exists")
    expect(editor.get_by_label("SKU")).to_have_value(furnishing.SOLD_OUT)
    accessibility.check(editor)


def test_photos_are_put_in_order_by_dragging_and_by_typing(editor: Page) -> None:
    admin.open_product(editor, furnishing.ORDERED)
    first, second, third = admin.previews(editor)
    hands.carry(admin.photos(editor).locator("[x-sort\\:handle]").first, admin.photos(editor).last)
    assert admin.previews(editor) == [second, third, first]
    admin.save(editor)
    admin.says(editor, "was changed successfully")
    assert admin.previews(editor) == [second, third, first]
    # Back to the first order, with the keyboard only: the last photo goes first.
    for field, place in zip(admin.positions(editor).all(), "120", strict=True):
        hands.tab_to(field, at_most=90)
        editor.keyboard.press("Control+A")
        editor.keyboard.type(place)
    hands.press(editor.get_by_role("button", name="Save and continue editing"), at_most=90)
    admin.says(editor, "was changed successfully")
    assert admin.previews(editor) == [first, second, third]


def test_a_photo_is_compared_with_raw_scores(operator: Page) -> None:
    admin.open_product(operator, "DEMO-0002")
    operator.get_by_role("link", name="Find similar").first.click()
    rows = operator.locator("table.index-neighbours tbody tr")
    expect(rows.first).to_contain_text("this photo")
    accessibility.check(operator, reload=True)
    expect(rows.first).to_contain_text(re.compile(r"1\.0000|0\.999\d"))
    assert rows.count() >= 10
    scores = [float(text) for text in rows.locator("td strong").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    operator.get_by_role("button", name="Compare").click()
    expect(rows.first).to_contain_text("this photo")


# Many products ----------------------------------------------------------------------------------------------------


def test_products_are_edited_together_after_a_preview(editor: Page) -> None:
    editor.goto(f"{admin.PRODUCTS}?q=TEST-TOGETHER")
    prices = editor.locator("#result_list").get_by_label("Price of")
    before = prices.evaluate_all(VALUES)
    editor.locator("#action-toggle").first.check()
    accessibility.check(editor)
    admin.act(editor, "Edit price, visibility, category, brand …")
    admin.says(editor, "3 products are chosen.")
    accessibility.check(editor)
    editor.get_by_role("button", name="See what will change").click()
    admin.says(editor, "Choose at least one change.")
    editor.get_by_label("Price", exact=True).select_option(label="Change by this many per cent")
    editor.get_by_label("Price or per cent").fill("10")
    editor.get_by_role("button", name="See what will change").click()
    admin.says(editor, "3 products will change")
    accessibility.check(editor)
    expect(editor.get_by_role("row")).to_have_count(4)
    editor.get_by_role("button", name="Change 3 products").click()
    admin.says(editor, "3 products have been changed.")
    editor.goto(f"{admin.PRODUCTS}?q=TEST-TOGETHER")
    assert prices.evaluate_all(VALUES) == [pytest.approx(price * 1.1, abs=0.006) for price in before]


def test_products_are_edited_together_by_keyboard_alone(editor: Page) -> None:
    editor.goto(f"{admin.PRODUCTS}?q={furnishing.TOGETHER[0]}")
    hands.press(editor.locator("#result_list input[name=_selected_action]").first, "Space")
    hands.tab_to(editor.get_by_label("Select action to run"))
    editor.keyboard.type("Edit price")
    hands.press(editor.get_by_role("button", name="Run"), at_most=3)
    admin.says(editor, "One product is chosen.")


def test_a_price_is_changed_in_the_list(editor: Page) -> None:
    editor.goto(f"{admin.PRODUCTS}?q={furnishing.HIDDEN}")
    price = editor.locator("#result_list").get_by_label("Price of")
    price.fill("23.50")
    admin.save(editor, "Save")
    admin.says(editor, "was changed successfully")
    expect(price).to_have_value("23.50")


def test_products_are_found_and_filtered(editor: Page) -> None:
    editor.goto(admin.PRODUCTS)
    editor.get_by_placeholder("Search by SKU, title or brand").fill("DEMO-0007")
    editor.keyboard.press("Enter")
    expect(editor.locator("#result_list tbody tr")).to_have_count(1)
    editor.goto("/admin/")
    editor.get_by_role("link", name="Without a photo").click()
    expect(editor.locator("#result_list").get_by_text(furnishing.WITHOUT_PHOTO)).to_be_visible()


# Tables -----------------------------------------------------------------------------------------------------------


def table_csv(rows: list[list[str]]) -> bytes:
    return "\n".join(",".join(row) for row in rows).encode()


def table_xlsx(rows: list[list[str]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "written"), [("csv", table_csv), ("xlsx", table_xlsx)])
def test_a_table_is_previewed_and_imported_with_its_photos(
    kind: str, written: Callable[[list[list[str]]], bytes], editor: Page, tmp_path: Path
) -> None:
    sku = f"STAFF-{kind.upper()}"
    rows = [
        ["sku", "title", "category", "price", "photos"],
        [f"{sku}-1", "Cap of a table", "Accessories > Hats", "12.50", "one.jpg|two.jpg"],
        [f"{sku}-2", "Cap without a price", "", "cheap", ""],
    ]
    table, photos = tmp_path / f"table.{kind}", tmp_path / "photos.zip"
    table.write_bytes(written(rows))
    with zipfile.ZipFile(photos, "w") as packed:
        packed.writestr("one.jpg", drawing.photo("hat", "#703070", seed=len(kind)))
        packed.writestr("two.jpg", drawing.photo("hat", "#307070", seed=len(kind)))
    editor.goto(admin.PRODUCTS)
    editor.get_by_role("link", name="Import").click()
    editor.get_by_label("Table", exact=True).set_input_files(table)
    editor.get_by_label("Zip of photos").set_input_files(photos)
    editor.get_by_role("button", name="See what will change").click()
    admin.says(editor, "This is what an import would do")
    expect(editor.get_by_role("region", name="What will change")).to_contain_text("2 photos added")
    expect(editor.get_by_role("region", name="Skipped")).to_contain_text("cheap")
    other = editor.context.new_page()  # nothing is saved yet
    other.goto(f"{admin.PRODUCTS}?q={sku}")
    expect(other.get_by_text(f"{sku}-1")).to_have_count(0)
    other.close()
    editor.get_by_role("button", name="Import one product").click()
    admin.says(editor, "Imported")
    accessibility.check(editor)
    admin.open_product(editor, f"{sku}-1")
    expect(admin.photos(editor)).to_have_count(2)


def test_a_table_that_cannot_be_read_is_refused_at_its_field(editor: Page, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("name;price\nHat;3\n")
    editor.goto(f"{admin.PRODUCTS}import/")
    editor.get_by_role("button", name="See what will change").click()
    admin.says(editor, "Choose a table, a zip of photos, or both.")
    editor.get_by_label("Table", exact=True).set_input_files(table)
    editor.get_by_role("button", name="See what will change").click()
    admin.says(editor, "The column 'sku' is missing")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_products_are_exported(kind: str, viewer: Page) -> None:
    viewer.goto(f"{admin.PRODUCTS}export/?q=TEST-TOGETHER")
    viewer.locator("select[name=format]").select_option(label=kind)
    with viewer.expect_download() as kept:
        viewer.get_by_role("button", name=re.compile("Submit|Export")).click()
    data = Path(kept.value.path()).read_bytes()
    if kind == "csv":
        rows = data.decode("utf-8-sig").splitlines()
        assert rows[0].startswith("sku,title")
    else:
        rows = [row[0] for row in load_workbook(io.BytesIO(data)).active.values]
    assert sum("TEST-TOGETHER" in row for row in rows) == 3


# End to end -------------------------------------------------------------------------------------------------------


def test_a_photo_that_staff_add_is_found_by_a_shopper_in_a_moment(editor: Page, desk: Page, tmp_path: Path) -> None:
    photo = own_photo(tmp_path, "trousers.jpg", "trousers", "#c0a000")
    editor.goto(f"{admin.PRODUCTS}add/")
    editor.get_by_label("SKU").fill("STAFF-FOUND")
    editor.get_by_label("Title").fill("Trousers that were just added")
    editor.get_by_label("New photos").set_input_files(photo)
    admin.save(editor, "Save")
    admin.says(editor, "was added successfully")
    began = time.monotonic()
    best = desk.locator("main .card").first
    while True:
        desk.goto("/search/")
        desk.get_by_label("Choose a photo").set_input_files(photo)
        desk.wait_for_url("**/search/*-*/")
        if "Trousers that were just added" in (best.text_content() or ""):
            break
        assert time.monotonic() - began < SOON, "A shopper does not find the new product."
    expect(best).to_contain_text("Same item")


# On a phone -------------------------------------------------------------------------------------------------------


def test_a_photo_is_added_from_a_phone(sign_in: Callable[..., Page], shop: Shop, tmp_path: Path) -> None:
    phone = sign_in(shop, furnishing.EDITOR, **PHONE)
    phone.goto(f"{admin.PRODUCTS}add/")
    phone.get_by_label("SKU").fill("STAFF-PHONE")
    phone.get_by_label("Title").fill("Hat from a phone")
    phone.get_by_label("New photos").set_input_files(own_photo(tmp_path, "hat.jpg", "hat", "#222222"))
    phone.get_by_role("button", name="Save and continue editing").tap()
    admin.says(phone, "1 photo has been added.")
    assert accessibility.fits(phone)
