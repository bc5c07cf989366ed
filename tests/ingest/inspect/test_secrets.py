"""Keys, tokens and passwords: by shape and by the word before them; sentences about passwords are none."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.inspect import masked
from ingest.inspect.secrets import find_secrets
from tests.ingest.inspect.support import growth, holds, values

# Put together here, so that the file itself holds no key.
A36 = "".join((string.ascii_letters + string.digits)[at * 7 % 62] for at in range(36))
HEX = "0123456789abcdef" * 4
JWT = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890"}, {"not": "a real seal"})
)
PEM = "-----BEGIN {0}PRIVATE KEY-----\n" + f"{A36}{A36[:28]}\n" * 3 + "{1}==\n-----END {0}PRIVATE KEY-----"


def found(text: str) -> list[tuple[str, str]]:
    findings = find_secrets(text)
    holds(text, findings)
    return values(text, findings)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("aws_key", "AKIA" + "IOSFODNN7EXAMPLE"),
        ("google_key", "AIza" + A36[:35]),
        ("google_token", "ya29." + A36),
        ("azure_secret", "abc8Q~" + A36[:32]),
        ("github_token", "ghp_" + A36),
        ("github_token", "github_pat_" + A36 + "_" + A36),
        ("gitlab_token", "glpat-" + A36[:20]),
        ("slack_token", "xoxb-" + "123456789012-" + A36[:24]),
        ("slack_webhook", "hooks.slack.com/services/T00000000/B00000000/" + A36[:24]),
        ("stripe_key", "sk_live_" + A36[:24]),
        ("anthropic_key", "sk-ant-api03-" + A36),
        ("openai_key", "sk-proj-" + A36),
        ("openai_key", "sk-" + A36),
        ("nvidia_key", "nvapi-" + A36 + A36[:28]),
        ("huggingface_token", "hf_" + A36[:34]),
        ("npm_token", "npm_" + A36),
        ("pypi_token", "pypi-AgEIcHlwaS5vcmc" + A36 + A36),
        ("twilio_key", "SK" + HEX[:32]),
        ("sendgrid_key", "SG." + A36[:22] + "." + A36 + A36[:7]),
        ("mail_key", HEX[:32] + "-us12"),
        ("databricks_token", "dapi" + HEX[:32]),
        ("telegram_token", "1234567890:AA" + A36[:33]),
        ("api_key", "gsk_" + A36 + A36[:16]),
        ("age_key", "AGE-SECRET-KEY-1" + (A36 + A36[:22]).upper()),
        ("jwt", JWT),
        ("private_key", PEM.format("", "A" * 20)),
        ("private_key", PEM.format("RSA ", "A" * 20)),
        ("private_key", PEM.format("OPENSSH ", "A" * 20)),
        ("private_key", PEM.format("", "A" * 20).replace("\n", "\\n")),
    ],
)
def test_shapes(kind: str, value: str) -> None:
    assert found(f"Use {value}, she said.") == [(kind, value)]
    assert find_secrets(f"Use {value}, she said.")[0].score == 1.0
    assert found(f'key = "{value}"') == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("The password is Tr0ub4dor&3.", "password", "Tr0ub4dor&3"),
        ("the password is hunter2!", "password", "hunter2"),
        ("The default password is 'admin'.", "password", "admin"),
        ("Your passcode is 4821.", "password", "4821"),
        ("password: 123456", "password", "123456"),
        ('"password": "correcthorse"', "password", "correcthorse"),
        ("DB_PASSWORD=s3cr3tPw", "password", "s3cr3tPw"),
        ("Kennwort: geheim12", "password", "geheim12"),
        ("Das Passwort lautet Sommer2024!", "password", "Sommer2024"),
        ("パスワード：abc12345", "password", "abc12345"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
            "assignment",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
        ),
        (f"api_key: '{HEX[:32]}'", "assignment", HEX[:32]),
        (f"?access_token={HEX}", "assignment", HEX),
        ("postgres://admin:S3cret@db.example/x", "url_password", "S3cret"),
        ("redis://:hunter22@cache:6379", "url_password", "hunter22"),
        (f"Authorization: Bearer {A36}", "authorization", A36),
        (f"AccountKey={A36 + A36};", "azure_key", A36 + A36),
    ],
)
def test_said_to_be_one(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The password is changed every 90 days.",
        "Passwords must have 12 characters. Password: required. The password is at least 8-characters long.",
        "password: string, password = None, password: <your password>, password=${PASSWORD}, password: ********",
        'password = os.environ["DB_PASSWORD"]; token = get_token(user_1); password = self.password',
        "The token is validated by the server. The token is 256-bit. Your API key is shown in the console.",
        "secret: my-service-account-1, token: next_token_value_1, key: value",
        "secret key: see https://example.com/docs/1234567890abcdef",
        "https://user:password@host.example https://u:${PW}@host https://host:8080/a@b",
        "basic understanding of internationalization123, bearer of bad news",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "The file begins with -----BEGIN PRIVATE KEY----- and ends likewise.",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 is public",
        "eyJhbGciOiJub3RoaW5n.eyJx.abc",
        "sk-learn, sk-proj, hf_hub_download, AKIA, npm_config_registry, desk-" + "a" * 40,
        "3f786850e387550fdab836ed7e6dc881de23001b is a commit",
        "crn:v1:bluemix:public:secrets:us:a/123:4567:secret:be4a0846-4cb5-3bfa-bab5-10a44dfc3e85",
    ],
)
def test_none(text: str) -> None:
    assert found(text) == []


def test_a_key_torn_off_is_found_as_far_as_it_goes() -> None:
    torn = PEM.format("RSA ", "A" * 20)[:150]
    assert found(f"{torn} and words") == [("private_key", torn)]


def test_many_keys_one_after_the_other() -> None:
    one = PEM.format("", "A" * 20)
    assert found(f"{one}\n{one}\n") == [("private_key", one)] * 2


def test_what_is_not_seen_hides_nothing() -> None:
    value = "\u200b".join("ghp_" + A36)
    assert found(f"It is {value}.") == [("github_token", value)]


_PIECES = st.sampled_from(
    ["password", "token", "api_key", "secret", " is ", ": ", "=", '"', "'", "ghp_", A36, HEX, JWT, "eyJ", "sk-", "://",
     "u:", "@host", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n", " ", ".", "Bearer ",
     "Tr0ub4dor&3", "\u200b", "é"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30).map("".join) | st.text(max_size=200))
@settings(deadline=None)
def test_findings_lie_inside_in_order_and_apart(text: str) -> None:
    findings = find_secrets(text)
    holds(text, findings)
    assert {one.group for one in findings} <= {"secret"}


@given(st.lists(_PIECES, max_size=30).map("".join))
@settings(deadline=None)
def test_what_is_masked_is_not_found_again(text: str) -> None:
    findings = find_secrets(text)
    again = find_secrets(masked(text, findings))
    assert not any(one.start < two.end and two.start < one.end for one in findings for two in again)


_HOSTILE = [
    "password=", 'password: "', "token is ", "key", "secret: a", "eyJaaaaaaaaaaaa.", "eyJ-", "eyJ", "sk-", "xox-", "SG.a",
    "SG.aaaaaaaaaaaaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA\n",
    "-----BEGIN RSA ", "Private-Lines: 1\n", "://a:", "a://b:c", "a://b:c@", "bearer ", "Bearer aaaaaaaaaaaaaaaaa1",
    "Proc-Type:", "AKIA", "0123456789abcdef", "sig=a", "Q~", ":AA", "\u200b", "_",
]  # fmt: skip


@pytest.mark.parametrize("unit", _HOSTILE)
def test_time_grows_with_the_length_alone(unit: str) -> None:
    assert growth(find_secrets, unit, size=20_000) < 2.5


def test_a_megabyte_of_everything_hostile_ends() -> None:
    text = "".join((unit * (1_000_000 // len(_HOSTILE) // len(unit) + 1)) for unit in _HOSTILE)
    assert len(text) >= 1_000_000
    holds(text, find_secrets(text))
