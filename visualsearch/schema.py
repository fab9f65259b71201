"""What the OpenAPI schema says that no view can say of itself."""

from __future__ import annotations

from typing import Any


def require_bodies(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A body is required where one is read: which of its fields are is another question."""
    for operations in result["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
    return result
