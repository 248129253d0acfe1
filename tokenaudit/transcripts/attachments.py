"""What of an attachment was sent to the model, by size; no text is kept.

Newer versions of Claude Code write what they sent beside an attachment, as `rendered`. Of older ones
only the attachment is known: its own texts are taken for what was sent, but for the kinds that never were.
"""

from typing import Any, Final

import msgspec

from tokenaudit.transcripts.wire import ATTACHMENT_TEXTS, Attachment, InnerBlock

__all__ = [
    "IMAGE_CHARACTERS",
    "characters_of",
    "is_memory",
    "is_of_user",
    "own_texts",
]

IMAGE_CHARACTERS: Final = 6000
"""What a picture weighs beside texts: about 1,500 tokens, at four characters each."""

_MEMORY: Final = frozenset(
    (
        "account_memory_recall",
        "cowork_memory_context",
        "instructions",
        "nested_memory",
        "relevant_memories",
    )
)
_NEVER_SENT: Final = frozenset(
    (
        "already_read_file",
        "command_permissions",
        "current_session_memory",
        "deferred_tools_record",
        "dynamic_skill",
        "edited_image_file",
        "hook_cancelled",
        "hook_error_during_execution",
        "hook_non_blocking_error",
        "hook_permission_decision",
        "hook_system_message",
        "max_turns_reached",
        "prompt_snapshot",
        "structured_output",
        "teammate_shutdown_batch",
    )
)
_HEARD_EVENTS: Final = frozenset(("SessionStart", "UserPromptSubmit"))
"""The events of which the output of a hook that succeeded was sent."""


def is_memory(attachment: Attachment) -> bool:
    """Whether *attachment* holds instructions from files: CLAUDE.md and what Claude Code remembers."""
    return attachment.type in _MEMORY


def is_of_user(attachment: Attachment) -> bool:
    """Whether *attachment* is what a person typed while the assistant worked."""
    return (
        attachment.type == "queued_command"
        and attachment.command_mode in (None, "prompt")
        and not attachment.is_meta
        and (attachment.origin is None or attachment.origin.kind == "human")
    )


def characters_of(content: str | list[InnerBlock] | None) -> int:
    """Return the characters of *content*: a text, or blocks of text and pictures."""
    if isinstance(content, str):
        return len(content)
    return sum(
        IMAGE_CHARACTERS if each.type == "image" else len(each.text or "") for each in content or ()
    )


def own_texts(attachment: Attachment, raw: bytes) -> int:
    """Return the characters of the texts of *attachment*, whose JSON is *raw*; 0 where none was sent.

    For versions that do not write what they rendered. Raises msgspec.MsgspecError on what is no JSON.
    """
    if attachment.type in _NEVER_SENT:
        return 0
    if attachment.type == "hook_success" and attachment.hook_event not in _HEARD_EVENTS:
        return 0
    return _texts(msgspec.json.decode(raw))


def _texts(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_texts, value))
    if not isinstance(value, dict):
        return 0
    if value.get("type") == "image":
        return IMAGE_CHARACTERS
    return sum(_texts(value[key]) for key in ATTACHMENT_TEXTS if key in value)
