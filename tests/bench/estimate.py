"""How wrong estimates of lost output are, and the weights that ship: see README.md beside this.

    python tests/bench/estimate.py mask HISTORIES...                hide finals, estimate them, compare
    python tests/bench/estimate.py fit HISTORIES... [-o FILE]       fit the weights that ship anew

HISTORIES is a folder of roots. What was cut before it was shared says nothing of output:
`PATH:20000` means that texts of so many characters or more were cut, `PATH:20000:no-tools` that the
inputs of all tools were. Responses with a part that was cut are left out.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from evidence import evidence

from tokenaudit.analysis.estimate import (
    calibrated,
    finals_of,
    judged,
    predicted,
    sized,
)
from tokenaudit.analysis.output_weights import (
    FEATURES,
    LEAST_FINALS,
    ShippedWeights,
    family_of,
    fitted,
    prediction,
    untold,
)
from tokenaudit.transcripts.text_sizes import written

DRAWS: Final = 5
LEAST_SHOWN: Final = 200
"""Of fewer finals no row is shown for a project and model: their errors are chance."""
LEAST_OF_ONE: Final = 15
"""Fewer finals of one history and model that hold a feature do not tell its weight there."""
OLD_PER_NEW: Final = 1 / 1.40
"""The same prompts count 1.39 to 1.44 times as many tokens in the new tokenizer as in the old one."""
LEAST_SESSIONS: Final = 4
"""Of fewer sessions of a model half the responses are hidden."""
PARTS: Final = ("thinking", "signature", "text", "tool_input")
KEYS: Final = ("root", "model")


class Histories(NamedTuple):
    """A folder of roots, and what of them was cut."""

    folder: Path
    longest: int | None
    with_tools: bool

    @classmethod
    def of(cls, text: str) -> "Histories":
        folder, *cuts = text.split(":")
        longest = next((int(cut) for cut in cuts if cut.isdigit()), None)
        return cls(Path(folder), longest, "no-tools" not in cuts)

    def roots(self) -> Iterator[Path]:
        for path in sorted(self.folder.iterdir()):
            for root in (path, path / "root"):
                if (root / "projects").is_dir():
                    yield root

    def rows_of(self, root: Path) -> pl.DataFrame:
        """Return the sized ledger of *root*, with its name, and `is_whole`: nothing was cut."""
        read = evidence(root)
        rows = sized(read.ledger, read.facts)
        keys = ["response_id", "request_id"]
        cut = self._cut(read.facts.transcripts["path"])
        rows = rows.join(cut, on=keys, how="left", nulls_equal=True, maintain_order="left")
        is_whole = ~pl.col("is_cut").fill_null(value=True)
        name = f"{self.folder.name}/{root.relative_to(self.folder).parts[0]}"
        return rows.with_columns(root=pl.lit(name), is_whole=is_whole)

    def _cut(self, paths: pl.Series) -> pl.DataFrame:
        lines = pl.DataFrame(written(paths), strict=False)
        is_cut = pl.lit(value=False)
        if self.longest is not None:
            is_cut = pl.any_horizontal(pl.col(part) >= self.longest for part in PARTS)
        if not self.with_tools:
            is_cut |= pl.col("tool_calls") > 0
        keys = [
            pl.col("message_id").cast(pl.String).alias("response_id"),
            pl.col("request_id").cast(pl.String),
        ]
        return lines.group_by(keys).agg(is_cut=is_cut.any())


# the weights that ship


def fit(rows: pl.DataFrame) -> dict[str, ShippedWeights]:
    """Return the weights of each family, judged by those that were fitted without each root."""
    finals = _finals(rows)
    # where the text of thinking is left out, as with all models of this tokenizer, nothing tells its weight
    new = _fit(finals.filter(pl.col("family") == "new"), {"thinking": 0.0})
    tools = {name: new.weights[name] * OLD_PER_NEW for name in ("tool_input", "tool_calls")}
    return {"new": new, "old": _fit(finals.filter(pl.col("family") == "old"), tools)}


def _fit(finals: pl.DataFrame, known: Mapping[str, float]) -> ShippedWeights:
    fixed = untold(finals, known)
    weights = _typical(finals, fixed)
    held = []
    for (fold,), of_fold in _folded(finals).group_by("fold", maintain_order=True):
        others = _folded(finals).filter(pl.col("fold") != fold)
        held.append(of_fold.with_columns(predicted=prediction(_typical(others, fixed))))
    return ShippedWeights(
        **{name: round(weights[feature], 4) for feature, name in FEATURES.items()},
        **{name: round(error, 3) for name, error in judged(pl.concat(held)).items()},
        finals=finals.height,
        histories=finals["root"].n_unique(),
        note=_note(fixed),
    )


def _typical(finals: pl.DataFrame, fixed: Mapping[str, float]) -> dict[str, float]:
    """Return the medians of the weights that fit each history and model by itself.

    Tokens per character depend on the language that is written: what fits all histories together fits
    none, while a median is what the most of them have. Where no single one tells a weight, all do.
    """
    pooled = fitted(finals, fixed)
    found: dict[str, list[float]] = {feature: [] for feature in FEATURES}
    for _, one in finals.group_by(KEYS, maintain_order=True):
        counts = one.select((pl.col(feature) > 0).sum() for feature in FEATURES)
        for feature, weight in fitted(one, fixed).items():
            if counts[feature][0] >= LEAST_OF_ONE:
                found[feature].append(weight)
    medians = {name: median(values) if values else pooled[name] for name, values in found.items()}
    return {**medians, **fixed}


def _folded(finals: pl.DataFrame) -> pl.DataFrame:
    """Let each root be a fold; but of responses that called tools, which few roots hold, half of one."""
    half = pl.col("session_id").rank("dense").over("root") % 2
    of_tools = pl.when(pl.col("tool_calls") > 0).then(pl.format(" tools {}", half))
    return finals.with_columns(fold=pl.col("root") + of_tools.otherwise(pl.lit("")))


def _finals(rows: pl.DataFrame) -> pl.DataFrame:
    whole = rows.filter("is_whole")
    finals = finals_of(whole).join(
        whole.select("response_id", "root").unique("response_id"), on="response_id"
    )
    families = {model: family_of(model) for model in finals["model"].unique()}
    return finals.with_columns(
        family=pl.col("model").replace_strict(families, return_dtype=pl.String)
    ).sort("root", "model", "response_id")


def _note(fixed: Mapping[str, float]) -> str:
    held = "Each history was estimated by the others; responses that call tools by those of other sessions."
    if "tool_calls" in fixed:
        return (
            f"{held} Tools were not measured, for too few histories hold their inputs whole: the weights are"
            f" those of the new tokenizer by {OLD_PER_NEW:.2f}."
        )
    return f"{held} Thinking without its signature was not measured, and adds nothing."


def _document(families: Mapping[str, ShippedWeights], sources: Sequence[str]) -> str:
    found = {
        "fitted": date.today().isoformat(),  # noqa: DTZ011
        "command": "python tests/bench/estimate.py fit HISTORIES... -o FILE",
        "sources": [*sources],
        "families": {
            name: {each: getattr(one, each) for each in one.__struct_fields__}
            for name, one in sorted(families.items())
        },
    }
    return json.dumps(found, indent=2) + "\n"


# the experiment


def mask(rows: pl.DataFrame) -> pl.DataFrame:
    """Hide finals of each root, estimate them, and compare; no weights were fitted on what is hidden."""
    found = []
    for root in rows["root"].unique().sort():
        is_root = pl.col("root") == root
        found += masked(rows.filter(is_root), rows.filter(~is_root))
    return pl.DataFrame(found)


def masked(rows: pl.DataFrame, others: pl.DataFrame) -> list[dict[str, Any]]:
    """Return how wrong estimates of hidden finals of a root are: per draw, model and basis of weights.

    `own` where half the finals of a model are hidden, and the rest tell its weights; `shipped` where all
    of them are. What ships is fitted to the *others*; where half are hidden, to those of the rest too that
    call tools, for hardly another root holds such responses whole.
    """
    found, elsewhere = [], fit(others)
    for draw in range(DRAWS if finals_of(rows).height >= LEAST_FINALS else 0):
        hidden = _hidden(rows, random.Random(draw))
        rest = rows.filter(~hidden["is_hidden"] & (pl.col("tool_calls") > 0))
        shipped = elsewhere if rest.is_empty() else fit(pl.concat([others, rest]))
        found += _compared(hidden, calibrated(hidden, shipped), is_shipped=False)
    everything = _with_hidden(rows.with_columns(is_hidden=pl.lit(value=True)))
    return found + _compared(everything, calibrated(everything, elsewhere), is_shipped=True)


def _hidden(rows: pl.DataFrame, chance: random.Random) -> pl.DataFrame:
    """Hide the finals of half the sessions of each model; of half the responses where those are few."""
    finals, drawn = finals_of(rows), []
    for model in finals["model"].unique().sort():
        of_model = finals.filter(pl.col("model") == model)
        by = "session_id" if of_model["session_id"].n_unique() >= LEAST_SESSIONS else "response_id"
        names = of_model[by].unique().sort().to_list()
        chosen = of_model.filter(pl.col(by).is_in(chance.sample(names, len(names) // 2)))
        drawn += chosen["response_id"].to_list()
    return _with_hidden(rows.with_columns(is_hidden=pl.col("response_id").is_in(drawn)))


def _with_hidden(rows: pl.DataFrame) -> pl.DataFrame:
    hide = pl.col("is_hidden") & (pl.col("quality") == "final")
    return rows.with_columns(
        is_hidden=hide,
        truth="output_tokens",
        output_tokens=pl.when(hide).then(1).otherwise("output_tokens"),
        quality=pl.when(hide).then(pl.lit("placeholder")).otherwise("quality"),
    )


def _compared(
    rows: pl.DataFrame, calibration: pl.DataFrame, *, is_shipped: bool
) -> list[dict[str, Any]]:
    meant = calibration.filter(pl.col("is_shipped") == is_shipped)
    is_known = (pl.col("est_unknown_responses") == 0) & (pl.col("kind") == "message")
    told = predicted(rows, meant).filter(pl.col("is_hidden") & is_known)
    if is_shipped:  # without a weight of tools no other history holds their inputs whole
        told = told.filter((pl.col("tool_calls") == 0) | (pl.col("tokens_per_tool_call") > 0))
    best, high = pl.col("est_output_best_tokens"), pl.col("est_output_high_tokens")
    truth = pl.col("truth")
    sessions = (
        told.group_by("root", "model", "session_id")
        .agg(truth.sum(), high.sum())
        .group_by(KEYS)
        .agg(sessions=pl.len(), inside=(truth <= high).sum())
    )
    errors = told.group_by(KEYS).agg(
        finals=pl.len(),
        sum_error=best.sum() / truth.sum() - 1,
        median_error=((best - truth).abs() / truth.clip(1)).median(),
        high_of_truth=high.sum() / truth.sum(),
    )
    found = errors.join(sessions, on=list(KEYS))
    basis = "shipped" if is_shipped else "own"
    return found.with_columns(basis=pl.lit(basis)).sort(KEYS).to_dicts()


def summary(found: pl.DataFrame) -> pl.DataFrame:
    """Return means over draws; of the error of the sum also the worst."""
    error = pl.col("sum_error")
    return (
        found.group_by("basis", *KEYS)
        .agg(
            finals=pl.col("finals").mean(),
            sessions=pl.col("sessions").mean(),
            sum_error=error.mean(),
            worst_sum=error.sort_by(error.abs()).last(),
            median_error=pl.col("median_error").mean(),
            inside=pl.col("inside").sum() / pl.col("sessions").sum(),
            high_of_truth=pl.col("high_of_truth").mean(),
        )
        .sort("basis", *KEYS)
    )


def table(found: pl.DataFrame) -> Iterator[str]:
    """Yield the rows of a table in Markdown."""
    yield "| weights | history | model | hidden | sessions | error of sum | worst draw | of a response | sessions inside | high / truth |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in found.iter_rows(named=True):
        yield (
            "| {basis} | {root} | {model} | {finals:.0f} | {sessions:.0f} | {sum_error:+.0%} | {worst_sum:+.0%}"
            " | {median_error:.0%} | {inside:.0%} | {high_of_truth:.2f} |".format(**row)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("command", choices=["mask", "fit"])
    parser.add_argument("histories", nargs="+", type=Histories.of)
    parser.add_argument("--source", action="append", default=[], help="provenance, for the file")
    parser.add_argument("--least", type=int, default=LEAST_SHOWN, help="hide rows of fewer finals")
    parser.add_argument("--cut-too", action="store_true", help="mask responses that were cut too")
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    rows = pl.concat(
        [each.rows_of(root) for each in told.histories for root in each.roots()],
        how="vertical_relaxed",
    )
    if told.command == "fit":
        text = _document(fit(rows), told.source)
    else:
        kept = rows if told.cut_too else rows.filter(pl.col("is_whole"))
        known = summary(mask(kept)).filter(pl.col("finals") >= told.least)
        text = "\n".join(table(known)) + "\n"
    if told.output:
        told.output.write_text(text, "utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
