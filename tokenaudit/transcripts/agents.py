"""What the small file beside a subagent's transcript says of it: its type and its task."""

from typing import Final

import msgspec

from tokenaudit.files import inputs
from tokenaudit.model.terms import MAIN_AGENT, Transcript
from tokenaudit.transcripts.wire import AgentFacts, decode_agent_facts

__all__ = ["COMPACTING", "agent_facts"]

COMPACTING: Final = "acompact-"
"""How the ids of the helpers begin that sum up a conversation for its compaction."""
_HELPERS: Final = {
    COMPACTING: "compact",
    "aprompt_suggestion-": "prompt_suggestion",
    "aside_question-": "side_question",
}
"""Claude Code's own helpers, by how their ids begin."""


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
        return decode_agent_facts(inputs.read(path, inputs.MEBIBYTE))
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return AgentFacts()  # a label is missing, never a figure
