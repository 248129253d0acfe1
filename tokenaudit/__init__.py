"""tokenaudit: what Claude Code used, by what, when, at what price, and how far it can be trusted.

What `__all__` lists is the public API; everything else may change.
"""

TYPE_CHECKING = False  # typing's own takes a quarter of the time that the status line has
if TYPE_CHECKING:
    from typing import Any

    from tokenaudit.api import Agent, Claimed, Ledger, Session, load
    from tokenaudit.model.errors import (
        ConfigError,
        NoTranscriptsError,
        OutputError,
        TokenauditError,
        UsageError,
    )
    from tokenaudit.model.terms import Intake, Usage
    from tokenaudit.model.units import (
        format_cost,
        format_tokens,
        format_usage_compact,
        format_usage_detailed,
    )
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Layout

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Claimed",
    "ConfigError",
    "Intake",
    "Layout",
    "Ledger",
    "NoTranscriptsError",
    "OutputError",
    "Report",
    "Session",
    "TokenauditError",
    "Usage",
    "UsageError",
    "__version__",
    "format_cost",
    "format_tokens",
    "format_usage_compact",
    "format_usage_detailed",
    "load",
]

_HOME = {
    **dict.fromkeys(("Agent", "Claimed", "Ledger", "Session", "load"), "api"),
    **dict.fromkeys(
        ("ConfigError", "NoTranscriptsError", "OutputError", "TokenauditError", "UsageError"),
        "model.errors",
    ),
    **dict.fromkeys(("Intake", "Usage"), "model.terms"),
    "Report": "reports.report",
    "Layout": "reports.request",
    **dict.fromkeys(
        ("format_cost", "format_tokens", "format_usage_compact", "format_usage_detailed"),
        "model.units",
    ),
}


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for: the command line must not wait for Polars."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
