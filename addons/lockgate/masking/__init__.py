"""Taking values out of documents: which paths, and what stands there instead. Pure."""

from __future__ import annotations

from lockgate.masking.masker import Masker, compile_masks

__all__ = ["Masker", "compile_masks"]
