"""What tests of notices share."""

from tests.pseudo import another_language

__all__ = ["another_language"]
