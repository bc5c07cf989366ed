"""Bolt's listeners, the same for Socket Mode and HTTP: each takes what came in for good, then acknowledges it."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from rag_bot.slack.buttons import Buttons
from rag_bot.slack.client import library_log
from rag_bot.slack.questions import Questions
from rag_bot.slack.settings_form import SettingsForm
from rag_bot.slack.tabs import Tabs
from rag_bot.slack.workplace import Workplace


def listening_app(here: Workplace, secret: str) -> Any:
    """Bolt's app with everything that Slack sends led to what does it. `secret` proves that HTTP requests are Slack's."""
    form = SettingsForm(here)
    questions, buttons, tabs = Questions(here, form), Buttons(here), Tabs(here)
    authorized = AuthorizeResult(
        enterprise_id=None,
        team_id=here.workspace.team,
        bot_user_id=here.workspace.bot_user,
        bot_id=here.workspace.bot,
        bot_token="",
    )

    async def authorize(**_: object) -> Any:
        return authorized

    # Listeners run to their end before Slack is answered: what is acknowledged has been kept.
    app = AsyncApp(
        name="rag-bot",
        logger=library_log(),
        signing_secret=secret,
        authorize=authorize,
        process_before_response=True,
        attaching_conversation_kwargs_enabled=False,
    )
    app.event("app_mention")(questions.message)
    app.event("message")(questions.message)
    app.event("app_home_opened")(tabs.home_opened)
    app.event("reaction_added")(buttons.reacted)
    app.event("reaction_removed")(buttons.unreacted)
    app.command("/ask")(questions.command)
    app.shortcut("answer_this")(questions.answer_this)
    for name, action in {
        "feedback": buttons.thumb,
        "ask_person": buttons.ask_person,
        "share": buttons.share,
        "show": buttons.show,
        "save": buttons.save,
        "config": form.config,
        "remove_file": tabs.remove_file,
    }.items():
        app.action(name)(action)
    app.view("feedback")(buttons.feedback_sent)
    app.view("save")(buttons.save_sent)
    app.view("config")(form.config_sent)
    return app
