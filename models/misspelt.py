"""What was most likely meant by a name that is not known. Knows no option, no variable and no request."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The one of `known` that is most like `name`, whatever the case and whether - or _ joins the words; else None.

    `alike` says how like it has to be: 1.0 is the same, and with 0.9 every tenth letter may be another one.
    """
    by_form = {_form(one): one for one in known}
    found = get_close_matches(_form(name), by_form, 1, alike)
    return by_form[found[0]] if found else None


def _form(name: str) -> str:
    return name.lower().strip("-_").replace("-", "_")
