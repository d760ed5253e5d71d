"""JSONPath queries over plain documents: compiled once, asked often."""

from __future__ import annotations

from typing import Any

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext import parse


class Query:
    """A compiled JSONPath. Raises ValueError where the text is none; costs half a millisecond, so make it at load."""

    __slots__ = ("_path", "text")

    def __init__(self, text: str) -> None:
        try:
            self._path = parse(text)
        except JSONPathError as error:
            raise ValueError(f"not a JSONPath: {text!r}: {error}") from error
        self.text = text

    def find(self, document: Any) -> list[Any]:
        """The values found, in the document's order; none where the path leads nowhere."""
        return [match.value for match in self._path.find(document)]
