"""What the small file beside a subagent's transcript says of it: its type and its task."""

from typing import Final

import msgspec

from tokenaudit.files import inputs
from tokenaudit.model.terms import MAIN_AGENT, Transcript

__all__ = ["AgentFacts", "agent_facts"]

_HELPERS: Final = {
    "acompact-": "compact",
    "aprompt_suggestion-": "prompt_suggestion",
    "aside_question-": "side_question",
}
"""Claude Code's own helpers, by how their ids begin."""


class AgentFacts(msgspec.Struct, gc=False, rename="camel"):
    """Type and task of a subagent, as far as they are known."""

    agent_type: str | None = None
    description: str | None = None


_decode = msgspec.json.Decoder(AgentFacts).decode


def agent_facts(transcript: Transcript) -> AgentFacts:
    """Read the facts of the agent that wrote *transcript*; what is not known is None."""
    if transcript.agent_id == MAIN_AGENT:
        return AgentFacts(agent_type=MAIN_AGENT)
    facts = _read(transcript.path.removesuffix(".jsonl") + ".meta.json")
    if facts.agent_type is None:
        kinds = (kind for start, kind in _HELPERS.items() if transcript.agent_id.startswith(start))
        facts.agent_type = next(kinds, None)
    return facts


def _read(path: str) -> AgentFacts:
    try:
        return _decode(inputs.read(path, inputs.MEBIBYTE))
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return AgentFacts()  # a label is missing, never a figure
