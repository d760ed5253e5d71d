"""The shape of the rules' files: what keys there are, and what text each takes. Pure.

Models see text, lists and mappings only, as `documents.read` gives them. What needs more than one entry to judge (a
target that names a credential) or a language of its own (patterns, CEL, JSONPath) is checked where it is compiled.
What stands below a key is what editors say of it (`json_schema`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """`echo` says whether messages may repeat a key of this model: not where a secret may stand by mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)
    echo: ClassVar[bool] = True
