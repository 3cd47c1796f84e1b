"""Answers that are given by another application than Litestar."""

from typing import Any

from litestar import Response


class Handed(Response[bytes]):
    """An answer that another application gives."""

    def __init__(self, application: Any) -> None:
        super().__init__(b"")
        self._application = application

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return the application that answers; Litestar calls whatever this is."""
        return self._application
