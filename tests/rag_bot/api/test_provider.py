"""Signing in through a provider: who comes in as what, and every way in which a provider, or somebody between, may lie."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from starlette.testclient import TestClient

from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.provider import Provider
from rag_bot.build import check_settings
from rag_bot.errors import BadAccount, BadSetting
from rag_bot.memory import Memory
from rag_bot.settings import Settings
from tests.fakes.oidc import Claims, OidcProvider, later, oidc_provider, unsigned
from tests.rag_bot.api.conftest import ToyBot, client_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib", "ignore:get_jwt_config:DeprecationWarning")

BACK = "http://testserver/v1/session/oidc/callback"


@dataclass
class Place:
    """A service whose people sign in through `provider`."""

    client: TestClient
    provider: OidcProvider
    accounts: Accounts

    def sign_in(self, subject: str) -> Any:
        """What the service says to somebody who comes back from the provider."""
        left = self.client.get("/v1/session/oidc", follow_redirects=False)
        assert left.status_code == 302, left.text
        return self.client.get(self.provider.agree(left.headers["location"], subject), follow_redirects=False)

    def who(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.client.get("/v1/session").json()["principal"]
        return found


@pytest.fixture(scope="module")
def running() -> Iterator[OidcProvider]:
    with oidc_provider(BACK) as provider:
        yield provider


@pytest.fixture
def provider(running: OidcProvider) -> OidcProvider:
    running.forge, running.strange, running.metadata, running.userinfo, running.down = None, False, {}, {}, False
    return running


@contextmanager
def place_of(provider: OidcProvider, folder: Path, **more: Any) -> Iterator[Place]:
    values = {
        "auth": "on",
        "oidc_issuer": provider.issuer,
        "oidc_client_id": provider.client_id,
        "oidc_client_secret": provider.client_secret,
        "oidc_roles": "writers=editor, it = admin",
        "embedder": "hash",
        "index": folder / "index",
    }
    settings = Settings(**{**values, **more})
    originals = folder / "originals"
    originals.mkdir()
    bot = ToyBot(settings, originals)
    memory = Memory(settings.state_url if settings.state else f"sqlite:///{folder / 'accounts.sqlite3'}")
    bot.settings = settings.model_copy(update={"state": f"sqlite:///{folder / 'accounts.sqlite3'}"})
    with client_of(bot) as client:
        yield Place(client, provider, Accounts(memory))
    memory.close()
    bot.memory.close()


@pytest.fixture
def place(provider: OidcProvider, tmp_path: Path) -> Iterator[Place]:
    with place_of(provider, tmp_path) as place:
        yield place


def test_somebody_whom_the_provider_knows_comes_in(place: Place) -> None:
    place.provider.user(
        "u1", preferred_username="Ann Lee", email="Ann@example.com", email_verified=True, groups=["hr", "writers"]
    )
    assert place.client.get("/v1/session").json() == {"accounts": True, "principal": None, "provider": "localhost"}
    answer = place.sign_in("u1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "../../../"
    who = place.who()
    assert who is not None
    assert (who["name"], who["role"], who["groups"]) == ("ann lee", "editor", ["hr", "writers"])
    user = place.accounts.users.named("ann lee")
    assert (user.email, user.issuer) == ("ann@example.com", place.provider.issuer)
    assert user.principal.person == ""  # the name there may be chosen by whoever has it
    assert place.client.get("/v1/documents").status_code == 200


def test_what_the_provider_says_at_the_last_sign_in_holds(place: Place) -> None:
    place.provider.user("u2", name="Bob", groups=["it"])
    place.sign_in("u2")
    assert place.client.get("/v1/users").status_code == 200
    place.provider.user("u2", name="Bob", groups="sales")
    place.sign_in("u2")
    assert place.client.get("/v1/users").status_code == 403
    who = place.who()
    assert who is not None
    assert (who["role"], who["groups"]) == ("reader", ["sales"])
    assert [user.name for user in place.accounts.users.list()] == ["bob"]


def test_an_address_that_is_not_verified_is_not_believed(place: Place) -> None:
    place.provider.user("u3", name="Eve", email="boss@example.com", email_verified=False)
    place.sign_in("u3")
    assert place.accounts.users.named("eve").email == ""


def test_two_people_of_one_name_stay_two(place: Place) -> None:
    for subject in ("u4", "u5"):
        place.provider.user(subject, name="Kim")
        place.sign_in(subject)
    assert sorted(user.name for user in place.accounts.users.list()) == ["kim", "kim (2)"]


def test_whoever_is_disabled_here_does_not_come_in(place: Place) -> None:
    place.provider.user("u6", name="Max")
    place.sign_in("u6")
    place.accounts.users.change(place.accounts.users.named("max").id, disabled=True)
    assert place.sign_in("u6").headers["location"] == "../../../?sign-in=refused"
    assert place.who() is None
    assert [(line.action, line.outcome) for line in place.accounts.audit.lines(1)] == [("session.begin", "refused")]


def test_without_a_group_that_may_nobody_comes_in(provider: OidcProvider, tmp_path: Path) -> None:
    with place_of(provider, tmp_path, oidc_role="none") as place:
        provider.user("u7", name="Guest", groups=["others"])
        assert place.sign_in("u7").headers["location"] == "../../../?sign-in=refused"
        provider.user("u7", name="Guest", groups=["writers"])
        assert place.sign_in("u7").headers["location"] == "../../../"


def test_a_claim_within_a_claim_and_one_with_dots_are_found(provider: OidcProvider, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with place_of(provider, tmp_path / "a", oidc_groups_claim="realm_access.roles") as place:
        provider.user("u8", name="Ida", realm_access={"roles": ["it", "*", "", 7]})
        place.sign_in("u8")
        assert place.accounts.users.named("ida").groups == ("it",)
    with place_of(provider, tmp_path / "b", oidc_groups_claim="https://example.com/groups") as place:
        provider.user("u9", name="Ida", **{"https://example.com/groups": ["writers"]})
        place.sign_in("u9")
        assert place.accounts.users.named("ida").role == "editor"


def test_what_the_id_token_lacks_is_asked_for(place: Place) -> None:
    def without(claims: Claims) -> Claims:
        return {name: value for name, value in claims.items() if name != "groups"}

    place.provider.user("u10", name="Lin", groups=["it"])
    place.provider.forge = without
    place.sign_in("u10")
    assert place.accounts.users.named("lin").role == "admin"
    place.provider.userinfo = {"sub": "somebody else"}
    assert place.sign_in("u10").headers["location"] == "../../../?sign-in=failed"


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://evil.example"},
        {"aud": "another client"},
        {"aud": []},
        {"nonce": "another"},
        {"exp": -3600},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"iat": 3600},
        {"nbf": 3600},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(place: Place, lie: Claims) -> None:
    place.provider.user("u11", name="Mallory", groups=["it"])

    def lying(claims: Claims) -> Claims:
        lies = {name: later(value) if name in ("exp", "iat", "nbf") and value else value for name, value in lie.items()}
        return {name: value for name, value in {**claims, **lies}.items() if value is not None}

    place.provider.forge = lying
    assert place.sign_in("u11").headers["location"] in ("../../../?sign-in=failed", "../../../?sign-in=refused")
    assert place.who() is None
    assert place.accounts.users.list() == []


def test_a_token_that_another_or_nobody_signed_is_refused(place: Place) -> None:
    place.provider.user("u12", name="Mallory")
    place.provider.strange = True
    assert place.sign_in("u12").headers["location"] == "../../../?sign-in=failed"
    place.provider.strange = False
    for metadata in ({}, {"id_token_signing_alg_values_supported": ["none", "HS256"]}):
        place.provider.metadata = metadata
        for forged in (unsigned, lambda _: "no token", lambda _: ""):
            place.provider.forge = forged
            assert place.sign_in("u12").headers["location"] == "../../../?sign-in=failed"
    assert place.who() is None


def test_coming_back_without_having_left_is_refused(place: Place) -> None:
    place.provider.user("u13", name="Ann")
    left = place.client.get("/v1/session/oidc", follow_redirects=False).headers["location"]
    back = place.provider.agree(left, "u13")
    for path in ("/v1/session/oidc/callback", "/v1/session/oidc/callback?code=x&state=y", f"{back}x"):
        assert place.client.get(path, follow_redirects=False).headers["location"] == "../../../?sign-in=failed", path
    own = dict(place.client.cookies)
    place.client.cookies.clear()  # a page that sends somebody else's browser to the end of a sign-in
    assert place.client.get(back, follow_redirects=False).headers["location"] == "../../../?sign-in=failed"
    assert place.who() is None
    place.client.cookies.update(own)
    assert place.client.get(back, follow_redirects=False).headers["location"] == "../../../"
    assert place.client.get(back, follow_redirects=False).headers["location"] == "../../../?sign-in=failed"  # once


def test_whoever_refuses_there_is_told_so(place: Place) -> None:
    left = place.client.get("/v1/session/oidc", follow_redirects=False).headers["location"]
    back = place.client.get(place.provider.deny(left), follow_redirects=False)
    assert back.headers["location"] == "../../../?sign-in=denied"
    assert "evil" not in place.client.get(f"{BACK}?error=evil<script>", follow_redirects=False).headers["location"]


def test_a_provider_that_is_gone_is_told_and_asked_again(place: Place) -> None:
    place.provider.down = True
    assert place.client.get("/v1/session/oidc", follow_redirects=False).headers["location"] == "../../?sign-in=unreachable"
    place.provider.down = False
    place.provider.user("u14", name="Ann")
    assert place.sign_in("u14").headers["location"] == "../../../"


def test_a_provider_that_says_to_be_another_is_not_believed(place: Place) -> None:
    place.provider.metadata = {"issuer": "https://evil.example"}
    assert place.client.get("/v1/session/oidc", follow_redirects=False).headers["location"] == "../../?sign-in=unreachable"
    place.provider.metadata = {}
    place.provider.user("u15", name="Ann")
    assert place.sign_in("u15").headers["location"] == "../../../"


def test_a_session_ends_some_hours_after_the_sign_in_however_busy_it_is(
    provider: OidcProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place_of(provider, tmp_path, session_hours=1) as place:
        provider.user("u16", name="Ann")
        place.sign_in("u16")
        began = time.time()
        for minutes in (20, 40, 59):
            monkeypatch.setattr(time, "time", lambda m=minutes: began + m * 60)
            monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _, m=minutes: int(began + m * 60))
            assert place.who() is not None
        monkeypatch.setattr(time, "time", lambda: began + 3700)
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(began + 3700))
        assert place.who() is None


def test_a_password_does_not_open_an_account_of_the_provider(place: Place) -> None:
    place.provider.user("u17", name="Ann")
    place.sign_in("u17")
    with pytest.raises(BadAccount, match="signs in through"):
        place.accounts.users.change(place.accounts.users.named("ann").id, password="a long enough one")
    assert place.client.post("/v1/session", json={"name": "ann", "password": ""}).status_code in (401, 403, 422)


def test_without_a_provider_there_is_no_way_to_one(tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    bot = ToyBot(Settings(index=tmp_path / "index", embedder="hash"), folder)
    with client_of(bot) as client:
        assert client.get("/v1/session").json()["provider"] is None
        assert client.get("/v1/session/oidc", follow_redirects=False).status_code == 404
        assert client.get("/v1/session/oidc/callback?code=x", follow_redirects=False).status_code == 404
    bot.memory.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"auth": "off"}, "needs accounts"),
        ({"oidc_issuer": "http://id.example.com"}, "https"),
        ({"oidc_issuer": "id.example.com"}, "https"),
        ({"oidc_client_id": ""}, "needs a client"),
        ({"oidc_scopes": "profile"}, "lacks openid"),
        ({"oidc_roles": "it=king"}, "RAG_BOT_OIDC_ROLES has 'it=king'"),
        ({"oidc_roles": "it"}, "RAG_BOT_OIDC_ROLES has 'it'"),
        ({"oidc_roles": "=admin"}, "RAG_BOT_OIDC_ROLES has '=admin'"),
    ],
)
def test_settings_that_can_not_work_are_said_at_the_start(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"auth": "on", "oidc_issuer": "https://id.example.com", "oidc_client_id": "bot", **values}
    with pytest.raises(BadSetting, match=words):
        check_settings(Settings(index=tmp_path, **given))


def test_roles_by_group_and_the_highest_of_them(tmp_path: Path) -> None:
    settings = Settings(
        index=tmp_path,
        auth="on",
        oidc_issuer="https://id.example.com",
        oidc_client_id="bot",
        oidc_roles="CN=it,ou=x=admin",
        oidc_emails="any",
    )
    with pytest.raises(BadSetting):
        Provider.of(settings)  # a comma parts
    provider = Provider.of(settings.model_copy(update={"oidc_roles": "a=b=editor,it=admin"}))
    assert provider is not None
    assert provider.label == "id.example.com"
    assert provider.person({"sub": "1", "groups": ["a=b"]}).role == "editor"
    assert provider.person({"sub": "1", "groups": ["a=b", "it"], "email": "a@b.c"}).role == "admin"
    assert provider.person({"sub": "1", "email": "a@b.c"}).email == "a@b.c"
    assert provider.person({"sub": "1\x00"}).name == "somebody"
