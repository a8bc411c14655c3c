"""A griffe extension: the section `Example:` of our docstrings is shown as code, like `Examples:`."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    """Call the section by the name that griffe knows."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section in the docstring of `obj`."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
