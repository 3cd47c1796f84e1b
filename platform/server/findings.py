"""What the doctor's checks find; what that is, is known to `core/findings.py`."""

from ..core.findings import Finding, Verdict, fault, ok, warning

__all__ = ["Finding", "Verdict", "fault", "ok", "warning"]
