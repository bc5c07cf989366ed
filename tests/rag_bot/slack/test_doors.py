"""Buttons, commands, forms, reactions, files and the app's own tabs."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from ingest.lock import WriteLock
from rag_bot.settings import Settings
from rag_bot.slack import blocks
from tests.fakes.slack import FakeSlack, Fault, Message
from tests.rag_bot.slack.support import ASKED, AT, UNKNOWN, InSlack, SlowAnswerer, in_slack, readers_file, until
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE

ANN = "slack/T0TEAM/UANN"
RULES = (
    '[people]\n"uann@example.com" = ["hr"]\n[documents]\n"upload:leave.md" = ["hr"]\n[collections]\nhandbook = ["upload:"]\n'
)


async def answer_of(here: InSlack, text: str = ASKED, channel: str = "C1") -> Message:
    ts = here.slack.post(channel, "UANN", text)
    await here.idle()
    return here.slack.answers(channel, ts)[0]


def answer_id(message: Message) -> str:
    return str(message.find("feedback_buttons")[0]["positive_button"]["value"]).partition(":")[2]


async def test_thumbs_are_kept_with_the_receipt(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        answer = await answer_of(here)
        receipt = here.state.answer(answer_id(answer))
        assert receipt and receipt.asked == LEAVE and receipt.answer["citations"][0]["quote"] == LEAVE_SENTENCE
        await slack.press("UANN", answer, "feedback", f"1:{receipt.answer_id}")
        await until(lambda: slack.ephemeral)
        assert slack.ephemeral[0].text == "Thank you."
        assert here.state.thumbs(receipt.answer_id) == {ANN: (1, None, None)}
        await slack.press("UANN", answer, "feedback", f"-1:{receipt.answer_id}")
        await until(lambda: slack.views)
        await slack.submit("UANN", reason="source", words="It is in part 2.", right_source="part2.md")
        kept = {ANN: (-1, "It quotes the wrong source: It is in part 2.", "part2.md")}
        assert here.state.thumbs(receipt.answer_id) == kept
        slack.react("UBOB", "C1", answer.ts, "+1::skin-tone-3")
        slack.react("UBOB", "C1", answer.ts, "eyes")
        slack.react("UBOB", "C1", "1.2", "+1")
        await here.idle()
        assert here.state.thumbs(receipt.answer_id)["slack/T0TEAM/UBOB"][0] == 1
        slack.react("UBOB", "C1", answer.ts, "+1", removed=True)
        await here.idle()
        assert here.state.thumbs(receipt.answer_id) == kept


async def test_the_command_answers_the_asker_alone_who_may_share_it(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        assert await slack.command("UANN", "C1", LEAVE) == {}
        await here.idle()
        [answer] = slack.ephemeral
        assert answer.shown == f"{LEAVE_SENTENCE} [1]" and answer.only_for == "UANN"
        assert not slack.messages["C1"]
        share = answer.find("button")[0]["value"]
        await slack.press("UBOB", answer, "share", share)  # somebody else's press does nothing
        await here.idle()
        assert not slack.messages["C1"]
        for _ in range(2):
            await slack.press("UANN", answer, "share", share)
        await here.idle()
        [shared] = slack.messages["C1"].values()
        assert shared.shown == f"> {LEAVE}\n\n{LEAVE_SENTENCE} [1]"
        assert LEAVE_SENTENCE in shared.small_print
        slack.react("UBOB", "C1", shared.ts, "-1")
        await here.idle()
        assert here.state.thumbs(share)["slack/T0TEAM/UBOB"][0] == -1
        await slack.command("UANN", "C1", "And for contractors?")
        await here.idle()
        assert "Contractors get no paid leave." in slack.ephemeral[-1].shown


async def test_what_not_everybody_may_read_is_not_shared(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    home = home.model_copy(update={"readers": readers_file(tmp_path, RULES)})
    async with in_slack(home, slack) as here:
        await slack.command("UANN", "C1", LEAVE)
        await here.idle()
        assert LEAVE_SENTENCE in slack.ephemeral[0].shown
        await slack.press("UANN", slack.ephemeral[0], "share")
        await here.idle()
        assert "Not everybody in this channel" in slack.ephemeral[1].text
        assert not slack.messages["C1"]


@pytest.mark.parametrize("fault", [Fault("limited"), None])
async def test_an_answer_for_one_waits_where_slack_asks_to(home: Settings, slack: FakeSlack, fault: Fault | None) -> None:
    slack.plan["response_url"].extend([fault] if fault else [])
    async with in_slack(home, slack) as here:
        await slack.command("UANN", "C1", LEAVE)
        await here.idle()
    assert len(slack.ephemeral) == 1


@pytest.mark.parametrize("member", [True, False])
async def test_an_answer_whose_address_has_expired_is_shown_all_the_same(
    home: Settings, slack: FakeSlack, member: bool
) -> None:
    async with in_slack(home, slack) as here:
        slack.channels["C1"].members -= set() if member else {"U0BOT"}
        slack.hooks_live_seconds = -1.0
        await slack.command("UANN", "C1", LEAVE)
        await here.idle()
    if member:
        assert [(one.shown, one.only_for) for one in slack.ephemeral] == [(f"{LEAVE_SENTENCE} [1]", "UANN")]
    else:
        assert [one.shown for one in slack.messages["DUANN"].values()] == [f"{LEAVE_SENTENCE} [1]"]
    assert not slack.messages["C1"]
    slack.refused.clear()


async def test_a_long_answer_for_one_is_shown_whole_also_when_it_is_asked_for_again(
    home: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MESSAGE_CHARS", 64)
    async with in_slack(home, slack, changed={"answerer": SlowAnswerer(3, 0.0)}) as here:
        slack.plan["response_url"].append(Fault("broken"))  # nobody knows whether it arrived
        await slack.command("UANN", "C1", LEAVE)
        await here.idle()
        [unsure] = slack.ephemeral
        assert "press the button" in unsure.small_print
        await slack.press("UANN", unsure, "show")
        await until(lambda: len(slack.ephemeral) == 4)
    assert [one.shown for one in slack.ephemeral[1:]] == [f"{LEAVE_SENTENCE} [1]"] * 3
    assert [bool(one.find("feedback_buttons")) for one in slack.ephemeral[1:]] == [False, False, True]


async def test_a_form_that_comes_too_late_is_said_so(home: Settings, slack: FakeSlack) -> None:
    slack.plan["users.info"].append(Fault("slow", seconds=0.5))
    slack.triggers_live_seconds = 0.3
    async with in_slack(home, slack):
        await slack.command("UADM", "C1", "config")
        await until(lambda: slack.ephemeral)
        assert "try it once more" in slack.ephemeral[0].text
        await slack.command("UADM", "C1", "config")
        await until(lambda: slack.views)
    slack.refused.clear()


@pytest.mark.parametrize("tone", ["plain", "friendly", "brief"])
async def test_a_channels_tone_reaches_whoever_writes_the_answer(home: Settings, slack: FakeSlack, tone: str) -> None:
    answerer = SlowAnswerer(1, 0.0)
    async with in_slack(home, slack, changed={"answerer": answerer}) as here:
        here.state.configure("slack/T0TEAM/C1", {"tone": tone}, "x")
        await answer_of(here)
    assert [brief.tone for brief in answerer.briefs] == [tone]


async def test_the_command_explains_itself(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack):
        for text in ("", "help", "hello"):
            assert "Ask me something" in (await slack.command("UANN", "C1", text))["text"]


async def test_the_shortcut_answers_a_message_in_its_thread(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:
        ts = slack.post("C1", "UBOB", LEAVE)
        await slack.shortcut("UANN", "answer_this", "C1", ts)
        await here.idle()
        assert [answer.shown for answer in slack.answers("C1", ts)] == [f"{LEAVE_SENTENCE} [1]"]
        slack.channel("C9", "UANN").members.discard("U0BOT")
        ts = slack.post("C9", "UBOB", LEAVE)
        await slack.shortcut("UANN", "answer_this", "C9", ts)
        await here.idle()
        assert slack.answers("C9", ts) == []
        assert LEAVE_SENTENCE in slack.ephemeral[-1].shown
        assert "Invite me" in slack.ephemeral[-1].small_print
    assert {error for _, error, _, _ in slack.refused} == {"not_in_channel"}
    slack.refused.clear()


async def test_a_refusal_calls_people_in_and_their_answer_becomes_a_document(home: Settings, slack: FakeSlack) -> None:
    slack.groups["S1"] = ["UBOB"]
    async with in_slack(home, slack, slack_helpers="S1") as here:
        refusal = await answer_of(here, f"{AT} {UNKNOWN}")
        for _ in range(2):
            await slack.press("UANN", refusal, "ask_person")
        await here.idle()
        thread = refusal.thread_ts
        [_, called] = slack.answers("C1", thread)
        assert "<!subteam^S1>" in called.small_print and UNKNOWN in called.small_print
        slack.post("C1", "UBOB", "The wifi password of the zebra enclosure is stripes.", thread)
        await here.idle()
        await slack.press("UANN", called, "save")
        await until(lambda: slack.ephemeral)
        assert "Only those who are called in" in slack.ephemeral[0].text
        await slack.press("UBOB", called, "save")
        await until(lambda: slack.views)
        assert "Everybody can ask about it." in str(slack.views[-1])
        for _ in range(2):
            await slack.submit("UBOB")
        await here.idle()
        assert "saved as a document for everybody: added" in slack.answers("C1", thread)[-1].shown
        again = await answer_of(here, f"{AT} {UNKNOWN}")
        assert "stripes" in again.shown


async def test_an_answer_from_a_closed_channel_stays_there(home: Settings, slack: FakeSlack) -> None:
    slack.groups["S1"] = ["UBOB"]
    async with in_slack(home, slack, slack_helpers="S1") as here:
        refusal = await answer_of(here, f"{AT} {UNKNOWN}", "G1")
        await slack.press("UANN", refusal, "ask_person")
        await here.idle()
        slack.post("G1", "UBOB", "The wifi password of the zebra enclosure is stripes.", refusal.thread_ts)
        await here.idle()
        await slack.press("UBOB", slack.answers("G1", refusal.thread_ts)[1], "save")
        await until(lambda: slack.views)
        assert "in this channel alone" in str(slack.views[-1])
        await slack.submit("UBOB")
        await here.idle()
        assert "for this channel" in slack.answers("G1", refusal.thread_ts)[-1].shown
        assert "stripes" in (await answer_of(here, f"{AT} {UNKNOWN}", "G1")).shown
        elsewhere = await answer_of(here, f"{AT} {UNKNOWN}")
        assert "stripes" not in elsewhere.shown + elsewhere.small_print


async def test_files_in_a_direct_message_are_their_senders_alone(home: Settings, slack: FakeSlack) -> None:
    slack.im("UBOB")
    async with in_slack(home, slack, max_file_bytes=10_000) as here:
        files = [
            slack.file("notes/../my rocket.md", b"# Rocket\n\nThe blue rocket starts on Monday.\n"),
            slack.file("empty.txt", b""),
            slack.file("large.txt", b"x" * 10_001),
            {**slack.file("far.txt", b"x"), "url_private_download": "https://evil.example/far.txt"},
        ]
        ts = slack.post("DUANN", "UANN", "When does the blue rocket start?", files=files)
        await here.idle()
        ledger, answer = slack.answers("DUANN", ts)
        assert "- `my rocket.md`: added, 1 passage" in ledger.shown
        assert "- `empty.txt`: failed:" in ledger.shown and "larger than the limit" in ledger.shown
        assert "`far.txt`: failed: it lies elsewhere" in ledger.shown
        assert "Monday" in answer.shown and "rag.example.com" not in answer.small_print
        for channel, user in (("DUBOB", "UBOB"), ("C1", "UANN")):
            ts = slack.post(channel, user, f"{AT} When does the blue rocket start?")
            await here.idle()
            assert "Monday" not in slack.answers(channel, ts)[0].shown + slack.answers(channel, ts)[0].small_print
        slack.open_home("UANN")
        await until(lambda: "UANN" in slack.homes)
        document = next(i.document_id for i in here.bot.index.documents() if "rocket" in i.source)
        await slack.press_home("UANN", "remove_file", document)
        await until(lambda: not any("rocket" in i.source for i in here.bot.index.documents()))


async def test_an_archive_in_a_direct_message_is_its_senders_alone(home: Settings, slack: FakeSlack) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("rocket.md", "# Rocket\n\nThe blue rocket starts on Monday.\n")
        archive.writestr("broken.pdf", "%PDF-1.7 and no more")
    async with in_slack(home, slack) as here:
        files = [slack.file("all.zip", packed.getvalue())]
        ts = slack.post("DUANN", "UANN", "When does the blue rocket start?", files=files)
        await here.idle()
        ledger, answer = slack.answers("DUANN", ts)
        assert "- `all.zip`: added, 1 passage; " in ledger.shown and "broken.pdf" in ledger.shown
        assert "Monday" in answer.shown and "rag.example.com" not in answer.small_print
        ts = slack.post("C1", "UANN", f"{AT} When does the blue rocket start?")
        await here.idle()
        assert "Monday" not in slack.answers("C1", ts)[0].shown + slack.answers("C1", ts)[0].small_print


async def test_a_file_that_is_given_up_is_said_so(home: Settings, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_bot.chat_platform.desk._TRIES", 1)
    async with in_slack(home, slack) as here:
        with WriteLock(home.index):  # another program writes, and goes on for longer than anybody waits
            ts = slack.post("DUANN", "UANN", "", files=[slack.file("a.txt", b"Words.")])
            await here.idle()
        [said] = slack.answers("DUANN", ts)
        assert (
            "could not do this" in said.shown
            and "index" in said.shown
            and not any("a.txt" in info.source for info in here.bot.index.documents())
        )


async def test_a_file_that_slack_does_not_hand_out_is_said_so(home: Settings, slack: FakeSlack) -> None:
    slack.scopes -= {"files:read"}
    async with in_slack(home, slack) as here:
        ts = slack.post("DUANN", "UANN", "", files=[slack.file("a.txt", b"Words.")])
        await here.idle()
        assert "files:read" in slack.answers("DUANN", ts)[0].shown


async def test_a_channels_settings_are_changed_in_a_form(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    home = home.model_copy(update={"readers": readers_file(tmp_path, RULES.replace('"upload:leave.md" = ["hr"]\n', ""))})
    async with in_slack(home, slack) as here:
        await slack.command("UANN", "C1", "config")
        await until(lambda: slack.ephemeral)
        assert "Only admins" in slack.ephemeral[0].text
        await slack.command("UADM", "C1", "config")
        await until(lambda: slack.views)
        wrong = await slack.submit("UADM", days=["0"], zone="Nowhere")
        assert wrong["response_action"] == "errors" and "zone" in wrong["errors"]
        form = {
            "collection": "c:handbook",
            "tone": "friendly",
            "switches": ["sure", "private"],
            "days": [str(d) for d in range(7)],
        }
        assert await slack.submit("UADM", **form, start="00:00", end="23:59") == {}
        stored = here.state.channel("slack/T0TEAM/C1")
        assert (stored["collection"], stored["tone"], stored["follow"]) == ("handbook", "friendly", False)
        assert stored["sure"] and stored["private"] and stored["hours"]["zone"] == "Europe/Brussels"
        slack.open_home("UADM")
        await until(lambda: "UADM" in slack.homes)
        await slack.press_home("UADM", "config", "C1")
        await until(lambda: len(slack.views) == 2)


async def test_settings_are_kept_to(home: Settings, slack: FakeSlack) -> None:
    async with in_slack(home, slack) as here:

        async def said(text: str, **settings: object) -> list[Message]:
            here.state.configure("slack/T0TEAM/C1", settings, "x")
            slack.ephemeral.clear()
            ts = slack.post("C1", "UANN", text)
            await here.idle()
            return slack.answers("C1", ts)

        assert await said(f"{AT} {UNKNOWN}", sure=True) == []
        assert slack.ephemeral == []
        await slack.command("UANN", "C1", UNKNOWN)  # whoever asks alone is told, and the channel is not
        await here.idle()
        assert "documents don't say" in slack.ephemeral[0].shown and slack.ephemeral[0].only_for == "UANN"
        assert LEAVE_SENTENCE in (await said(ASKED, sure=True))[0].shown
        friendly = (await said(ASKED, tone="friendly"))[0]
        assert friendly.shown.startswith("Here is what I found:\n\n") and "Just ask in this thread" in friendly.small_print
        brief = (await said(ASKED, tone="brief"))[0]
        assert LEAVE_SENTENCE not in brief.small_print and "[1]" in brief.small_print
        assert await said(ASKED, private=True) == []
        assert slack.ephemeral[0].shown == f"{LEAVE_SENTENCE} [1]"
        closed = {"days": [0, 1, 2, 3, 4, 5, 6], "start": "00:00", "end": "00:00", "zone": "UTC"}
        assert len(await said(ASKED, hours=closed)) == 1  # an end that is not after the start lies on the next day
        assert await said(ASKED, hours={**closed, "days": [], "start": "x"}) != []  # nonsense is no hours
        another_day = [(datetime.now(UTC).weekday() + 3) % 7]
        assert await said(ASKED, hours={"days": another_day, "start": "09:00", "end": "17:00", "zone": "UTC"}) == []
        assert "I answer here on" in slack.ephemeral[0].text and slack.ephemeral[0].only_for == "UANN"
        await slack.command("UANN", "C1", LEAVE)
        await here.idle()
        assert "I answer here on" in slack.ephemeral[1].text
        [answer] = await said(ASKED, follow=False)
        slack.post("C1", "UANN", "And for contractors?", answer.thread_ts)
        await here.idle()
        assert len(slack.answers("C1", answer.thread_ts)) == 1


async def test_the_home_tab_and_suggested_questions(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    rules = f'{RULES}leave = ["upload:leave.md"]\nboard = ["upload:board/"]\n'
    home = home.model_copy(update={"readers": readers_file(tmp_path, rules)})
    async with in_slack(home, slack) as here:
        await answer_of(here, LEAVE, "DUANN")
        slack.open_home("UANN")
        slack.open_home("UBOB")
        slack.open_home("UBOB", "messages")
        slack.open_home("UANN", "messages")
        await until(lambda: len(slack.homes) == 2 and len(slack.prompts) == 2)
    words = str(slack.homes["UANN"])
    assert LEAVE in words and "Settings of channels" not in words
    assert "All documents (4)" in words and "handbook (4)" in words and "board" not in words
    assert "All documents (3)" in str(slack.homes["UBOB"]) and "leave (" not in str(slack.homes["UBOB"])
    assert any("Leave" in prompt["message"] for prompt in slack.prompts["DUANN"])
    assert not any("Leave" in prompt["message"] for prompt in slack.prompts["DUBOB"])
    assert "What does Illness say about Contractors?" in [prompt["message"] for prompt in slack.prompts["DUBOB"]]
