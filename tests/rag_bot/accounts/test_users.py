"""Users: passwords, sessions' epochs, roles, those that a provider vouches for."""

from __future__ import annotations

import threading

import pytest

from rag_bot.accounts import passwords
from rag_bot.accounts.accounts import Accounts
from rag_bot.errors import BadAccount, NotFound
from rag_bot.memory import Memory

WORDS = "correct horse battery"


def test_a_user_signs_in_with_the_name_in_any_case(accounts: Accounts) -> None:
    made = accounts.users.add("  Ada  Lovelace ", WORDS, "editor", groups=["hr"], email="Ada@Example.com")
    assert made.name == "ada lovelace" and made.email == "ada@example.com"
    found = accounts.users.sign_in("ADA LOVELACE", WORDS)
    assert found is not None and found.id == made.id
    for name, password in [("ada lovelace", WORDS + " "), ("ada lovelace", ""), ("nobody", WORDS), ("", ""), ("\x00", "\x00")]:
        assert accounts.users.sign_in(name, password) is None
    assert accounts.users.named("ada lovelace").signed_in_at is not None


def test_two_users_do_not_share_a_name(accounts: Accounts) -> None:
    accounts.users.add("ada", WORDS)
    with pytest.raises(BadAccount, match="already"):
        accounts.users.add("ADA", WORDS)


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 1025])
def test_a_password_has_a_sane_length(accounts: Accounts, password: str) -> None:
    with pytest.raises(BadAccount, match="characters"):
        accounts.users.add("ada", password)
    assert not accounts.users.any()


def test_a_new_password_and_disabling_end_the_sessions(accounts: Accounts) -> None:
    user = accounts.users.add("ada", WORDS)
    assert accounts.by_session(user.id, user.epoch) is not None

    changed = accounts.users.change(user.id, password="another long password")
    accounts.forget()
    assert accounts.by_session(user.id, user.epoch) is None
    assert accounts.users.sign_in("ada", WORDS) is None
    assert accounts.by_session(user.id, changed.epoch) is not None

    disabled = accounts.users.change(user.id, disabled=True)
    accounts.forget()
    assert accounts.by_session(user.id, disabled.epoch) is None
    assert accounts.users.sign_in("ada", "another long password") is None
    assert accounts.by_session("usr_0", 0) is None


def test_the_only_admin_stays(accounts: Accounts) -> None:
    first = accounts.users.add("first", WORDS, "admin")
    with pytest.raises(BadAccount, match="only admin"):
        accounts.users.change(first.id, role="reader")
    with pytest.raises(BadAccount, match="only admin"):
        accounts.users.change(first.id, disabled=True)
    with pytest.raises(BadAccount, match="only admin"):
        accounts.users.remove(first.id)
    assert accounts.users.get(first.id).role == "admin"

    second = accounts.users.add("second", WORDS, "admin")
    accounts.users.remove(first.id)
    with pytest.raises(BadAccount, match="only admin"):
        accounts.users.remove(second.id)


def test_two_admins_who_demote_each_other_leave_one(memory: Memory, accounts: Accounts) -> None:
    ids = [accounts.users.add(name, WORDS, "admin").id for name in ("first", "second")]
    refused: list[BaseException] = []

    def demote(user_id: str) -> None:
        try:
            Accounts(memory).users.change(user_id, role="reader")
        except BadAccount as error:
            refused.append(error)

    threads = [threading.Thread(target=demote, args=(user_id,)) for user_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert [user.role for user in accounts.users.list()].count("admin") == 1


def test_a_provider_s_user_is_made_once_and_follows_what_it_says(accounts: Accounts) -> None:
    first = accounts.users.seen("https://id.example", "42", "Ada", "ada@example.com", "reader", ["hr"])
    again = accounts.users.seen("https://id.example", "42", "Ada", "ada@new.example", "admin", ["board"])
    other = accounts.users.seen("https://other.example", "42", "Ada", "", "reader", [])

    assert again.id == first.id and again.role == "admin" and again.groups == ("board",) and again.email == "ada@new.example"
    assert other.id != first.id and other.name == "ada (2)"
    assert accounts.users.sign_in("ada", "") is None  # there is no password to sign in with
    with pytest.raises(BadAccount, match="signs in through"):
        accounts.users.change(first.id, password=WORDS)
    accounts.users.change(other.id, disabled=True)
    with pytest.raises(BadAccount, match="can't be used"):
        accounts.users.seen("https://other.example", "42", "Ada", "", "reader", [])


def test_a_provider_s_user_is_known_to_the_readers_by_no_name_of_their_own_choice(accounts: Accounts) -> None:
    accounts.users.add("boss", WORDS)
    vouched = accounts.users.seen("https://id.example", "666", "boss", "", "reader", [])
    assert accounts.users.named("boss").principal.person == "boss"
    assert vouched.principal.person == ""


def test_only_the_first_start_makes_the_admin(accounts: Accounts) -> None:
    assert accounts.first_admin(WORDS)
    assert not accounts.first_admin("another long password")
    assert accounts.users.sign_in("admin", WORDS) is not None
    assert accounts.users.sign_in("admin", "another long password") is None


def test_who_is_not_there_is_not_found(accounts: Accounts) -> None:
    for act in (
        lambda: accounts.users.get("usr_0"),
        lambda: accounts.users.named("nobody"),
        lambda: accounts.users.change("usr_0", role="reader"),
        lambda: accounts.users.remove("usr_0"),
        lambda: accounts.users.end_sessions("usr_0"),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_secret_is_made_once_for_all_replicas(memory: Memory) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(Accounts(memory).secret("sessions"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1 and len(found[0]) > 40
    assert Accounts(memory).secret("another") != found[0]


def test_a_hash_says_nothing_of_the_password() -> None:
    kept = passwords.hashed(WORDS)
    assert WORDS not in kept and kept.startswith("$argon2id$") and kept != passwords.hashed(WORDS)
    assert passwords.matches(kept, WORDS)
    assert not passwords.matches("", WORDS) and not passwords.matches("no hash", WORDS)
