"""Views whose modules are imported when the first request for them comes: what is not used costs a start nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import cached_property
from django.utils.module_loading import import_string


class LaterView:
    """The view at a dotted path. What decorators noted on it is found on this too, by importing it."""

    # Django asks of every view whether it is a coroutine function: found here, they are not looked for any further.
    __code__ = __defaults__ = __kwdefaults__ = _is_coroutine = None

    def __init__(self, path: str) -> None:
        self.__module__, _, self.__name__ = path.rpartition(".")
        self.__qualname__ = self.__name__

    @cached_property
    def view(self) -> Any:
        view = import_string(f"{self.__module__}.{self.__name__}")
        notes = {name: note for name, note in vars(view).items() if not name.startswith("__")}
        vars(self).update(notes | vars(self))
        return view

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = self.view(request, *args, **kwargs)
        return response

    def __getattr__(self, name: str) -> Any:
        # URLs are reversed without the view: Django asks each whether it is a class's.
        if name in ("view", "view_class") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.view, name)
