"""Forms of the admin: errors at their fields, and pictures that are validated before they are stored."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Max
from django.forms.fields import InvalidJSONInput
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.translation import gettext_lazy as _
from tree_queries.forms import TreeNodeChoiceField
from unfold.widgets import UnfoldAdminTextInputWidget

from catalogue import attributes, images
from catalogue.models import Category, Product, ProductImage

PHOTO_TWICE = _("This product already has this photo.")


class CategoryForm(forms.ModelForm):  # type: ignore[type-arg]
    """A category. Its parent is neither itself nor a descendant."""

    parent = TreeNodeChoiceField(
        label=_("parent"),
        queryset=Category.objects.all(),
        required=False,
        error_messages={"invalid_choice": _("Choose a category that is neither this one nor one below it.")},
    )

    class Meta:
        model = Category
        fields = ("name", "slug", "parent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "parent" in self.fields:  # absent for users who may only view
            below = self.instance.descendants(include_self=True).values_list("pk", flat=True)
            field = cast("TreeNodeChoiceField", self.fields["parent"])
            field.queryset = Category.objects.exclude(pk__in=list(below)).with_tree_fields()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "name" in cleaned and "parent" in cleaned:
            siblings = Category.objects.filter(parent=cleaned["parent"], name=cleaned["name"])
            if siblings.exclude(pk=self.instance.pk).exists():
                self.add_error("name", _("A category with this name already exists here."))
        return cleaned


class ManyFilesInput(forms.FileInput):
    """A file input for several files."""

    allow_multiple_selected = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return files.getlist(name)


class PhotosField(forms.FileField):
    """Several pictures, each validated alone. The value has the valid ones and the refusals."""

    def clean(self, data: Any, initial: Any = None) -> NewPhotos:
        photos = NewPhotos()
        limits = images.Limits.from_settings()
        for upload in data or ():
            photo = ProductImage()
            try:
                limits.check_bytes(upload.size or 0)  # before it is read into memory
                photo.set_content(upload.read(), wait=images.STAFF_WAIT)
            except images.ImageRefused as error:
                photos.refused.append((upload.name, str(error)))
            else:
                photos.accepted.append((upload.name, photo))
        return photos

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


@dataclass
class NewPhotos:
    """Uploaded pictures, each with its file name."""

    accepted: list[tuple[str, ProductImage]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def add_to(self, product: Product) -> int:
        """Add the accepted photos after the product's own; returns how many. Duplicates are refused."""
        held = set(product.photos.values_list("sha256", flat=True))
        last = product.photos.aggregate(last=Max("position"))["last"]
        added = 0
        for name, photo in self.accepted:
            if photo.sha256 in held:
                self.refused.append((name, str(PHOTO_TWICE)))
                continue
            held.add(photo.sha256)
            photo.product = product
            photo.position = added if last is None else last + 1 + added
            photo.save()
            added += 1
        return added


class AttributesField(forms.JSONField):
    """A product's attributes as JSON. Invalid input is shown again as it was sent."""

    default_error_messages = {"invalid": _("Write a JSON object, as in %(example)s.")}

    def to_python(self, value: Any) -> dict[str, Any]:  # type: ignore[override]
        if value in self.empty_values:
            return {}
        try:
            return attributes.checked(json.loads(value) if isinstance(value, str) else value)
        except (ValueError, RecursionError) as error:
            sentence = self.error_messages["invalid"]
            raise ValidationError(sentence, "invalid", {"example": '{"material": "wool"}'}) from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data)
        return super().bound_data(data, initial)


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product and its new photos. Contradicting dates are reported at a field."""

    new_photos = PhotosField(
        label=_("New photos"),
        required=False,
        widget=ManyFilesInput(attrs={"accept": "image/*", "class": "staff-files"}),
        help_text=_(
            "Choose one or more. They are added after the photos below. Photos that cannot be used are listed."
        ),
    )

    class Meta:
        model = Product
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose
        field_classes = {"attributes": AttributesField}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = cleaned.get("visible_from"), cleaned.get("visible_until")
        if start and end and start >= end:
            self.add_error("visible_until", _("“Visible until” must be later than “visible from”."))
        return cleaned


class ProductRowForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product's price and stock in the list of products.

    Each field also sends its initial value. Only fields that differ from it are written, so that newer values of
    other people are kept.
    """

    class Meta:
        model = Product
        fields = ("price", "stock")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        about = {"product": self.instance.title, "currency": self.instance.currency}
        self.fields["price"].widget = UnfoldAdminTextInputWidget(
            attrs={
                "aria-label": _("Price of %(product)s in %(currency)s") % about,
                "class": "staff-number",
                "inputmode": "decimal",
                "suffix": self.instance.currency,
            }
        )
        stock = self.fields["stock"].widget.attrs
        stock["aria-label"] = _("Stock of %(product)s") % about
        stock["class"] = f"{stock.get('class', '')} staff-number"
        for name in self._meta.fields or ():
            self.fields[name].show_hidden_initial = True

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        # Absent values are not written to the instance.
        return {name: value for name, value in cleaned.items() if name in self.changed_data}

    @property
    def outdated(self) -> bool:
        """Whether someone else has changed the price or stock since they were shown."""
        return any(
            self.fields[name].has_changed(self.initial[name], self.data[shown])
            for name in self._meta.fields or ()
            if (shown := self.add_initial_prefix(name)) in self.data
        )


class ProductImageForm(forms.ModelForm):  # type: ignore[type-arg]
    """A photo. A new one needs a picture; a stored one keeps its own by default."""

    upload = forms.FileField(
        label=_("picture"),
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/*", "class": "staff-file"}),
        help_text=_("A new picture replaces the current one."),
    )

    class Meta:
        model = ProductImage
        fields = ("position", "alt")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        new = self.instance.pk is None
        if not new or self.prefix:
            # In a table of rows, column headings do not label the fields.
            photo = _("new photo") if new else str(self.instance)
            for name, field in self.fields.items():
                if name in ("upload", "position", "alt"):
                    field.widget.attrs["aria-label"] = f"{field.label}, {photo}"
        if "upload" in self.fields:  # absent for users who may only view
            self.fields["upload"].required = new
        if "position" in self.fields:
            self.fields["position"].required = not new
            self.fields["position"].widget.attrs["min"] = 0
            self.fields["position"].help_text = _("The first photo is the cover. Leave empty to put a new one last.")
            if new:
                self.initial["position"] = None

    def clean_upload(self) -> UploadedFile[Any] | None:
        """Decode the picture, so that an unusable one is refused and never stored."""
        upload: UploadedFile[Any] | None = self.cleaned_data["upload"]
        if upload is None:
            return None
        try:
            images.Limits.from_settings().check_bytes(upload.size or 0)  # before it is read into memory
            self.instance.set_content(upload.read(), wait=images.STAFF_WAIT)
        except images.ImageRefused as error:
            raise ValidationError(str(error), code=error.code) from error
        twins = ProductImage.objects.filter(product=self.instance.product_id, sha256=self.instance.sha256)
        if twins.exclude(pk=self.instance.pk).exists():
            raise ValidationError(PHOTO_TWICE, code="twice")
        return upload


class ProductImageFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The photos of one product."""

    def clean(self) -> None:
        """Refuse a picture that two rows upload. The row's own form refuses one that is stored already."""
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            if form.cleaned_data.get(DELETION_FIELD_NAME) or not form.cleaned_data.get("upload"):
                continue
            if form.instance.sha256 in seen:
                form.add_error("upload", ValidationError(PHOTO_TWICE, code="twice"))
            seen.add(form.instance.sha256)

    def save_new(self, form: forms.ModelForm, commit: bool = True) -> ProductImage:  # type: ignore[type-arg]
        """Save a new photo; without a position it comes last."""
        if form.instance.position is None:
            last = ProductImage.objects.filter(product=self.instance).aggregate(last=Max("position"))["last"]
            form.instance.position = 0 if last is None else last + 1
        photo: ProductImage = super().save_new(form, commit=commit)
        return photo
