"""What the OpenAPI schema says that no view can say of itself."""

from __future__ import annotations

from typing import Any

from search.web.serializers import SOURCES


def require_bodies(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A body is required where one is read: which of its fields are is another question."""
    for operations in result["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
    return result


def require_one_source(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A search names exactly one picture; serializers can say this of no field alone."""
    for component in result["components"]["schemas"].values():
        fields = component.get("properties", {})
        sources = [name for name in SOURCES if name in fields]
        if len(sources) > 1:
            component["oneOf"] = [{"required": [name]} for name in sources]
    return result


def link_searches(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """What a search answers leads to its pages, and to its end."""
    result["paths"]["/api/v1/search/"]["post"]["responses"]["201"]["links"] = {
        operation: {"operationId": operation, "parameters": {"id": "$response.body#/id"}}
        for operation in ("search_page", "forget_search")
    }
    return result
