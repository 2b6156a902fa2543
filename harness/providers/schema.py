"""The JSON Schema of an edit's answer, for providers that constrain what a model may write."""

from typing import Any

from harness.story import STOCK_FIELDS, TURN_FIELDS, Story

_JSON_TYPES: dict[type, str] = {str: "string", int: "integer", list: "array"}


def story_schema(story: Story) -> dict[str, Any]:
    """A schema for stories of the same shape: as many turns, numbered alike, and as many stocks.

    Names are free, as an edit may change them; that all turns have the same stocks cannot be said
    in a schema, so the story still has to be parsed. Properties are listed in the wire format's
    order, which llama.cpp's grammar keeps.
    """
    stock = {name: {"type": _JSON_TYPES[kind]} for name, kind in STOCK_FIELDS.items()}
    properties: dict[str, dict[str, Any]] = {
        name: {"type": _JSON_TYPES[kind]} for name, kind in TURN_FIELDS.items()
    }
    properties["stocks"] |= {
        "items": _object(stock),
        "minItems": len(story.stock_names),
        "maxItems": len(story.stock_names),
    }
    return {
        "type": "array",
        "prefixItems": [
            _object({**properties, "turn_number": {"const": turn.turn_number}})
            for turn in story.turns
        ],
        "minItems": len(story.turns),
        "maxItems": len(story.turns),
    }


def response_format(story: Story) -> dict[str, Any]:
    """The ``response_format`` of a chat request that demands ``story_schema``."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "story", "strict": True, "schema": story_schema(story)},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
