"""Who reads along decides what is answered: in no channel is anything quoted that one who sees it may not read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rag_bot.settings import Settings
from tests.fakes.slack import OTHER_TEAM, FakeSlack, Fault, User
from tests.rag_bot.rails.test_rails_in_the_bot import CONTACTS
from tests.rag_bot.slack.support import ASKED, AT, InSlack, in_slack, readers_file
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE, fill

RULES = '[people]\n"uann@example.com" = ["hr"]\n"UBOB" = ["hr"]\n[documents]\n"upload:leave.md" = ["hr"]\n'


@pytest.fixture
def ruled(home: Settings, tmp_path: Path) -> Settings:
    return home.model_copy(update={"readers": readers_file(tmp_path, RULES)})


async def asked(here: InSlack, channel: str, user: str = "UANN") -> str:
    direct = here.slack.channels[channel].kind == "im"
    ts = here.slack.post(channel, user, LEAVE if direct else ASKED)
    await here.idle()
    [answer] = here.slack.answers(channel, ts)
    return answer.shown + answer.small_print


async def test_a_closed_round_of_readers_is_answered(ruled: Settings, slack: FakeSlack) -> None:
    async with in_slack(ruled, slack) as here:
        assert LEAVE_SENTENCE in await asked(here, "G1")
        assert LEAVE_SENTENCE in await asked(here, "DUANN")
        assert "rag.example.com" not in await asked(here, "G1")  # the chat page knows nobody, and would not show it


@pytest.mark.parametrize("guest", [False, True])
async def test_one_who_may_not_read_it_silences_it_for_all(ruled: Settings, slack: FakeSlack, guest: bool) -> None:
    async with in_slack(ruled, slack) as here:
        slack.user("UEVE", guest=guest)
        slack.join("UEVE", "G1")
        said = await asked(here, "G1")
        assert "documents don't say" in said
        assert "26 days" not in said and "leave.md" not in said and "Leave" not in said
        slack.channels["G1"].members.discard("UEVE")
        assert LEAVE_SENTENCE in await asked(here, "G1")


async def test_a_public_channel_is_read_by_the_whole_workspace(ruled: Settings, slack: FakeSlack) -> None:
    slack.channel("C2", "UANN", "UBOB")
    async with in_slack(ruled, slack) as here:
        assert "26 days" not in await asked(here, "C2")  # the admin, who is no member, may look in


async def test_apps_and_those_who_left_read_nothing(ruled: Settings, slack: FakeSlack) -> None:
    slack.user("UAPP", bot=True)
    slack.user("UOLD", deleted=True)
    slack.channels["G1"].members |= {"UAPP", "UOLD"}
    async with in_slack(ruled, slack) as here:
        assert LEAVE_SENTENCE in await asked(here, "G1")


async def test_an_outsiders_address_proves_nothing(ruled: Settings, slack: FakeSlack) -> None:
    slack.user("UOUT", "uann@example.com", team=OTHER_TEAM)
    slack.channel("G2", "UANN", "UOUT", kind="group", shared=True)
    async with in_slack(ruled, slack) as here:
        assert "26 days" not in await asked(here, "G2")
        assert "26 days" not in await asked(here, "G2", "UOUT")


async def test_beyond_a_shared_channel_anybody_may_look_in(ruled: Settings, slack: FakeSlack) -> None:
    slack.channel("G3", "UANN", "UBOB", kind="group", shared=True)  # private here, perhaps public there
    async with in_slack(ruled, slack) as here:
        assert "26 days" not in await asked(here, "G3")
        assert "Illness" in await asked(here, "G3")  # what is public is answered as ever


async def test_nobody_of_a_large_workspace_is_forgotten(
    ruled: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_bot.slack.people._MOST", 2)
    slack.users = {user.id: user for user in (User("UEVE", "ueve@example.com"), *slack.users.values())}
    slack.users["UADM"].bot = True
    slack.channel("C2", "UANN", "UBOB")
    async with in_slack(ruled, slack) as here:
        assert "26 days" not in await asked(here, "C2")  # Eve, who comes first in the directory, may look in


async def test_a_large_channel_is_looked_up_in_the_directory(ruled: Settings, slack: FakeSlack) -> None:
    people = [f"UL{number:02}" for number in range(60)]
    slack.channel("G4", "UANN", *people, kind="group")
    lines = "\n".join(f'"{person}" = ["hr"]' for person in people)
    assert ruled.readers
    ruled.readers.write_text(RULES.replace("[people]\n", f"[people]\n{lines}\n"))
    async with in_slack(ruled, slack) as here:
        assert LEAVE_SENTENCE in await asked(here, "G4")
    methods = [call.method for call in slack.calls]
    assert methods.count("users.list") == 1 and methods.count("users.info") < 5


@pytest.mark.parametrize("method", ["conversations.members", "conversations.info", "users.info"])
async def test_where_it_is_not_known_who_reads_only_what_is_public_is_said(
    ruled: Settings, slack: FakeSlack, method: str
) -> None:
    slack.plan[method].append(Fault("error", error="fatal_error_of_ours"))
    async with in_slack(ruled, slack) as here:
        assert "26 days" not in await asked(here, "G1")
        assert LEAVE_SENTENCE in await asked(here, "G1")


async def test_a_follow_up_takes_nothing_along_that_newcomers_may_not_read(ruled: Settings, slack: FakeSlack) -> None:
    async with in_slack(ruled, slack) as here:
        ts = slack.post("G1", "UANN", ASKED)
        await here.idle()
        slack.user("UEVE")
        slack.join("UEVE", "G1")
        slack.post("G1", "UANN", f"{AT} And for contractors?", ts)
        await here.idle()
        second = slack.answers("G1", ts)[1]
        assert "no paid leave" not in second.shown + second.small_print


async def test_a_channels_collection_narrows_what_it_is_answered(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    rules = readers_file(tmp_path, '[collections]\nillness = ["upload:illness.md"]\n')
    async with in_slack(home.model_copy(update={"readers": rules}), slack) as here:
        here.state.configure("slack/T0TEAM/C1", {"collection": "illness"}, "x")
        assert "26 days" not in await asked(here, "C1")


async def test_who_reads_along_is_asked_where_only_labels_withhold_something(
    home: Settings, slack: FakeSlack, tmp_path: Path
) -> None:
    people = '[people]\n"uann@example.com" = ["hr"]\n"UBOB" = ["hr"]\n'
    rules = readers_file(tmp_path, people + '[labels]\nhr = ["hr"]\n[folders]\n"upload:leave.md" = ["hr"]\n')
    async with in_slack(home.model_copy(update={"readers": rules}), slack) as here:
        assert LEAVE_SENTENCE in await asked(here, "G1")
        slack.user("UEVE")
        slack.join("UEVE", "G1")
        said = await asked(here, "G1")
        assert "26 days" not in said and "leave.md" not in said
        assert LEAVE_SENTENCE in await asked(here, "DUANN")


async def test_a_channels_collection_is_for_those_who_may_use_it(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    people = '[people]\n"uann@example.com" = ["hr"]\n"UBOB" = ["hr"]\n'
    rules = readers_file(tmp_path, people + '[collections]\nstaff = {sources = ["upload:"], groups = ["hr"]}\n')
    async with in_slack(home.model_copy(update={"readers": rules}), slack) as here:
        here.state.configure("slack/T0TEAM/G1", {"collection": "staff"}, "x")
        assert LEAVE_SENTENCE in await asked(here, "G1")
        slack.user("UEVE")
        slack.join("UEVE", "G1")
        assert "26 days" not in await asked(here, "G1")


async def test_personal_data_is_for_those_alone_who_may_see_it(tmp_path: Path, slack: FakeSlack) -> None:
    rules = readers_file(tmp_path, '[people]\n"uann@example.com" = ["hr"]\n[personal]\ngroups = ["hr"]\n')
    settings = fill(tmp_path / "home", {"contacts.md": CONTACTS}).model_copy(update={"readers": rules})
    question, secret = "Who leads the works council and how is Ada Lovelace reached?", "ada.lovelace@example.org"
    async with in_slack(settings, slack, rails="on", rails_personal="mask") as here:

        async def said(channel: str) -> str:
            ts = slack.post(channel, "UANN", question if channel.startswith("D") else f"{AT} {question}")
            await here.idle()
            [answer] = slack.answers(channel, ts)
            return answer.shown + answer.small_print

        assert secret in await said("DUANN")
        masked = await said("G1")  # with Bob, who is in no group
        assert "works council" in masked and secret not in masked
        await slack.command("UANN", "G1", question)
        await here.idle()
        assert secret in slack.ephemeral[0].shown
        await slack.press("UANN", slack.ephemeral[0], "share")
        await here.idle()
        assert "Not everybody in this channel" in slack.ephemeral[1].text
    assert secret not in str(slack.messages["G1"])


async def test_whatever_the_rules_and_the_members_no_reply_tells_too_much(
    home: Settings, slack: FakeSlack, tmp_path: Path
) -> None:
    chance = random.Random(7)
    people = [f"UP{n}" for n in range(5)]
    for person in people:
        slack.user(person, team=chance.choice([OTHER_TEAM] + ["T0TEAM"] * 4), guest=chance.random() < 0.3)
    secrets = {"upload:leave.md": "26 days", "upload:illness.md": "twelve weeks", "upload:rates.csv": "140 euros"}
    questions = [LEAVE, "How long is full salary paid in illness?", "What is the night rate in Oslo?"]
    path = readers_file(tmp_path, "")
    answered = 0
    async with in_slack(home.model_copy(update={"readers": path}), slack) as here:
        for number in range(12):
            groups = {person: [g for g in "ab" if chance.random() < 0.7] for person in people}
            needed = {source: [g for g in "ab" if chance.random() < 0.5] for source in secrets if chance.random() < 0.8}
            lines = [f'"{person}" = {groups[person]!r}' for person in people]
            path.write_text("[people]\n" + "\n".join(lines) + "\n[documents]\n")
            path.write_text(path.read_text() + "\n".join(f'"{source}" = {who!r}' for source, who in needed.items()))
            members = chance.sample(people, chance.randint(1, 3))
            channel = slack.channel(f"G9{number}", *members, kind="group").id
            for question in questions:
                ts = slack.post(channel, members[0], f"{AT} {question}")
                await here.idle()
                for answer in slack.answers(channel, ts):
                    said = answer.shown + answer.small_print
                    for source, secret in secrets.items():
                        may = all(source not in needed or set(needed[source]) & set(groups[one]) for one in members)
                        assert may or secret not in said
                        answered += secret in said
    assert answered > 5
