"""The user's rules: what they say when they do not hold, and what they can never do."""

from decimal import Decimal
from pathlib import Path

import pytest
from evidence import evidence
from transcripts_builder import reply, session_file, write

from tokenaudit.audit.check.assertions import broken, read_rules
from tokenaudit.audit.check.finding import Finding, Severity
from tokenaudit.model.errors import ConfigError

RULE = '[[rule]]\nname = "r"\nlimit = 0\n'


def results(tmp_path: Path, text: str) -> list[Finding]:
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")
    rules = read_rules(path)
    write(
        session_file(tmp_path),
        reply(output=100),
        reply("msg_2", "req_2", 2000, at=1),
        reply("msg_3", "req_3", 50, at=2, model="glm-9"),
    )
    return list(broken(evidence(tmp_path), rules))


def test_a_sum_above_its_limit(tmp_path: Path) -> None:
    """2 x 10 x $5 + 2,100 x $25 per million are $0.0526; a limit of that much still holds."""
    rule = '[[rule]]\nname = "budget"\nexpression = "sum(cost_usd)"\nlimit = '
    (finding,) = results(tmp_path, f"{rule}0.0525")

    assert ("rule:budget", Severity.ERROR, 3) == (finding.name, finding.severity, finding.count)
    assert "0.0526 is above the limit of 0.0525" in finding.message
    assert [] == results(tmp_path, f"{rule}0.0526")


def test_a_value_of_each_row(tmp_path: Path) -> None:
    """Only the rows above are counted, and the first is the example."""
    (finding,) = results(
        tmp_path,
        '[[rule]]\nname = "long"\nexpression = "output_tokens"\nlimit = 1000\nseverity = "warning"\n'
        'message = "Too long"',
    )

    assert (Severity.WARNING, 1, 2010) == (finding.severity, finding.count, finding.tokens)
    assert finding.place is not None
    assert finding.place.line == 2
    assert finding.message.startswith("Too long (output_tokens: 1 rows of usage are above")


def test_a_condition_and_other_tables(tmp_path: Path) -> None:
    """`where` narrows the rows; `table` names sessions, agents or rejects."""
    (finding,) = results(tmp_path, f'{RULE}expression = "count(*)"\nwhere = "model LIKE \'glm%\'"')
    assert (1, 60, None) == (finding.count, finding.tokens, finding.cost_usd)

    (finding,) = results(tmp_path, f'{RULE}expression = "count(*)"\ntable = "sessions"')
    assert (1, None) == (finding.count, finding.tokens)
    assert [] == results(tmp_path, f'{RULE}expression = "count(*)"\ntable = "rejects"')


def test_a_limit_is_exact(tmp_path: Path) -> None:
    """As it is written, not as a binary float."""
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "r"\nexpression = "1"\nlimit = 0.1')

    assert read_rules(path)[0].limit == Decimal("0.1")


HOSTILE = [
    "(SELECT count(*) FROM read_csv('/etc/passwd'))",
    "(select 1)",
    "count(*) + (SELECT max(x) FROM read_parquet('/tmp/x'))",
    "EXISTS (SELECT * FROM read_csv('/etc/passwd'))",
    "(TABLE usage)",
    "(VALUES (1))",
    "(WITH x AS (SELECT 1) SELECT * FROM x)",
    "'$$' || (SELECT 1)",
    "read_csv('/etc/passwd')",
    "1; DROP TABLE usage",
    "DROP TABLE usage",
    "sum(cost_usd) FROM read_csv('/etc/passwd')",
    "__import__('os').system('id')",
    "*",
    "",
    "sum(nothing)",
    "max(model)",
    "usage.*",
    "x'",
    "a IN (1, 'b'",
]


@pytest.mark.parametrize("key", ["expression", "where"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_rule_reads_writes_or_runs_anything(tmp_path: Path, key: str, text: str) -> None:
    """Each is refused in one line that names the file, the rule and the key."""
    other = 'expression = "1"\n' if key == "where" else ""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError) as error:
        results(tmp_path, f"{RULE}{other}{key} = '''{text}'''")

    assert f"rules.toml: rule 1: {key}: " in str(error.value)
    assert "\n" not in str(error.value)
    assert "root:" not in f"{error.value} {error.value.hint}"
    assert {"rules.toml", "projects"} >= {
        path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - set(before)
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no [[rule]]"),
        ("x = 1", "holds no [[rule]]"),
        ("[rule]\nname = 'a'", "holds no [[rule]]"),
        ("rule = [1]", "rule 1: is not a [[rule]] table"),
        ("[[rule]]\nname = 'a'\nexpression = '1'", "rule 1: limit is missing"),
        ("[[rule]]\nname = 'a'\nexpression = '1'\nlimit = true", "limit: is not a number"),
        ("[[rule]]\nname = 'a'\nexpression = '1'\nlimit = nan", "limit: is not a number"),
        ("[[rule]]\nname = 'a'\nexpression = '1'\nlimit = 1e300", "limit: is beyond 1,000,000,"),
        (
            "[[rule]]\nname = 'a'\nexpression = '1'\nlimit = -1000000000000000000000001",
            "limit: is b",
        ),
        ("[[rule]]\nname = 'a'\nexpression = '1'\nlimit = 1e9999999999999999999", "not TOML"),
        ("[[rule]]\nname = 'A b'\nexpression = '1'\nlimit = 1", "name: may hold"),
        (f"{RULE}expression = 1", "expression: is not a text"),
        (f"{RULE}expression = '1'\nseverity = 'grave'", "severity: is not one of error"),
        (f"{RULE}expression = '1'\nseverity = []", "severity: is not one of error"),
        (f"{RULE}expression = '1'\ntable = 'files'", "table: is not one of usage"),
        (f"{RULE}expression = '1'\nsql = 'x'", "unknown key sql"),
        (f"{RULE}expression = '1'\n{RULE}expression = '1'", "another rule is called r"),
        ("[[rule]", "not TOML"),
        ("x" * (1 << 20) + "x", "larger than 1 MiB"),
    ],
)
def test_a_file_of_rules_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    """Refused as a whole."""
    with pytest.raises(ConfigError, match=r"rules\.toml") as error:
        results(tmp_path, text)

    assert words in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """With the reason."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_rules(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("value", "limit", "is_broken"),
    [
        ("999999999999999999999999.5", "999999999999999999999999", True),
        ("999999999999999999999999", "1000000000000000000000000", False),
        ("0.000000000001", "1e-300", True),
        ("0", "1e-300", False),
        ("0", "-1e-300", True),
        ("0.3", "0.3000000000000000000000000000001", False),
        ("0.1", "0.1", False),
    ],
)
def test_limits_of_many_digits_are_exact(
    tmp_path: Path, value: str, limit: str, *, is_broken: bool
) -> None:
    """To the twelfth decimal of the value, which is its last."""
    rule = f"[[rule]]\nname = 'a'\nexpression = 'CAST({value} AS DECIMAL(38, 12))'\nlimit = {limit}"

    assert bool(results(tmp_path, rule)) is is_broken
