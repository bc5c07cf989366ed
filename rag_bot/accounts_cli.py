"""`rag-bot keys`, `rag-bot users` and `rag-bot audit`: accounts managed from the machine that the database is on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ingest import console
from rag_bot.errors import BadAccount

if TYPE_CHECKING:
    from rag_bot.accounts.accounts import Accounts
    from rag_bot.accounts.keys import Key
    from rag_bot.accounts.users import User

keys = typer.Typer(help="API keys for programs.", no_args_is_help=True, context_settings=console.HELP)
users = typer.Typer(help="The people who sign in.", no_args_is_help=True, context_settings=console.HELP)

IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RoleOption = Annotated[
    Literal["reader", "editor", "admin"],
    typer.Option(help="`reader` asks and reads, `editor` adds and removes documents as well, `admin` manages accounts, too."),
]
GroupsOption = Annotated[list[str] | None, typer.Option("--group", metavar="NAME", help="A group; may be given again.")]
PasswordOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input; else it is asked for.")
]


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    role: RoleOption = "reader",
    permission: Annotated[
        list[str] | None,
        typer.Option(help="Only this of what the role may: ask, read, write, metrics, admin; may be given again."),
    ] = None,
    group: GroupsOption = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="How long it is valid; else until it is revoked.")] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Its own quota, such as questions_per_day=1000; may be given again."),
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is printed this once: only its hash is kept."""
    from rag_bot.accounts.quotas import quotas_of

    quotas = quotas_of(dict(_quota(one) for one in quota or ()))
    with _accounts(index) as accounts:
        key, token = accounts.keys.create(
            name, role, permissions=permission or (), groups=group or (), quotas=quotas, days=days, created_by="command line"
        )
        _noted(accounts, "key.create", f"keys/{key.id}")
    if as_json:
        console.print_json({**asdict(key), "key": token})
        return
    typer.echo(token)
    console.console(stderr=True).print("Keep it: it can't be shown again. It goes into the header `Authorization: Bearer …`.")


@keys.command("list")
def list_keys(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """List the keys, without their secret half."""
    with _accounts(index) as accounts:
        found = accounts.keys.list()
    if as_json:
        console.print_json([{**asdict(key), "valid": key.valid} for key in found])
    elif not found:
        typer.echo("There are no keys. Make one with: rag-bot keys create NAME")
    else:
        _table(("key", "name", "role", "may", "groups", "state", "last used"), map(_key_row, found))


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="How the key begins: rb_…")], index: IndexOption = None
) -> None:
    """Make a key worthless, within two seconds."""
    with _accounts(index) as accounts:
        key = accounts.keys.revoke("_".join(key_id.split("_")[:2]))
        _noted(accounts, "key.revoke", key.id)
    typer.echo(f"{key.id} ({key.name}) is revoked.")


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the user signs in with.")],
    role: RoleOption = "reader",
    group: GroupsOption = None,
    email: Annotated[str, typer.Option(help="The file of readers may know them by it.")] = "",
    password_stdin: PasswordOption = False,
    index: IndexOption = None,
) -> None:
    """Make a user who signs in with a password."""
    password = _password(password_stdin)
    with _accounts(index) as accounts:
        user = accounts.users.add(name, password, role, groups=group or (), email=email)
        _noted(accounts, "user.add", f"users/{user.id}")
    typer.echo(f"{user.name} can sign in as {user.role}.")


@users.command("list")
def list_users(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """List the users."""
    with _accounts(index) as accounts:
        found = accounts.users.list()
    if as_json:
        console.print_json([asdict(user) for user in found])
    elif not found:
        typer.echo("There are no users. Make one with: rag-bot users add NAME --role admin")
    else:
        _table(("name", "role", "groups", "e-mail", "signs in by", "state", "last signed in"), map(_user_row, found))


@users.command("change")
def change_user(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[Literal["reader", "editor", "admin"] | None, typer.Option(help="Another role.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", metavar="NAME", help="All groups from now on.")] = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="No group from now on.")] = False,
    email: Annotated[str | None, typer.Option(help="Another e-mail address.")] = None,
    disable: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether they may come in.")] = None,
    index: IndexOption = None,
) -> None:
    """Change what is given; the rest stays."""
    groups = [] if no_groups else group
    with _accounts(index) as accounts:
        user = accounts.users.named(name)
        user = accounts.users.change(user.id, role=role, groups=groups, email=email, disabled=disable)
        _noted(accounts, "user.change", user.id)
    typer.echo(f"{user.name}: {user.role}, groups: {', '.join(user.groups) or 'none'}{', disabled' if user.disabled else ''}.")


@users.command("password")
def change_password(
    name: Annotated[str, typer.Argument(metavar="NAME")], password_stdin: PasswordOption = False, index: IndexOption = None
) -> None:
    """Give a user another password; their sessions end."""
    password = _password(password_stdin)
    with _accounts(index) as accounts:
        user = accounts.users.change(accounts.users.named(name).id, password=password)
        _noted(accounts, "user.change", user.id)
    typer.echo(f"{user.name} has a new password.")


@users.command("remove")
def remove_user(name: Annotated[str, typer.Argument(metavar="NAME")], index: IndexOption = None) -> None:
    """Take a user out. What they own stays in the database, and nobody sees it."""
    with _accounts(index) as accounts:
        user = accounts.users.remove(accounts.users.named(name).id)
        _noted(accounts, "user.remove", user.id)
    typer.echo(f"{user.name} is gone.")


def audit(
    limit: Annotated[int, typer.Option(min=1, help="Lines at most.")] = 50,
    actor: Annotated[str, typer.Option(help="Only of this principal (user:…, key:…).")] = "",
    action: Annotated[str, typer.Option(help="Only actions that begin so, such as `document.`.")] = "",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only since this day (UTC).")
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who did what, newest first. With --json a line of JSON for each."""
    with _accounts(index) as accounts:
        lines = accounts.audit.lines(limit, None, actor, action, since.replace(tzinfo=UTC) if since else None)
    if as_json:
        import json

        for line in lines:
            typer.echo(json.dumps(asdict(line)))
    elif not lines:
        typer.echo("The audit log has no such lines.")
    else:
        shown = ((line.at[:19], line.actor or "-", line.action, line.object, line.outcome, line.address) for line in lines)
        _table(("when (UTC)", "who", "what", "of", "outcome", "from"), shown)


@contextmanager
def _accounts(index: Path | None) -> Iterator[Accounts]:
    from rag_bot.accounts.accounts import Accounts
    from rag_bot.memory import Memory
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings, index=index)
    if not settings.state:  # it stands in the index's folder, which may be still to come
        settings.index.mkdir(parents=True, exist_ok=True)
    accounts = Accounts(Memory.of(settings))
    try:
        yield accounts
    finally:
        accounts.close()


def _noted(accounts: Accounts, action: str, about: str) -> None:
    from rag_bot.accounts.audit import Line

    accounts.audit.add(Line(action, "command line", about))


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise BadAccount("There is no terminal to ask for the password.", "Give it with --password-stdin.")
    return str(typer.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True))


def _quota(given: str) -> tuple[str, float]:
    name, _, number = given.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError as error:
        raise BadAccount(f"{given!r} is no quota.", "Write it like questions_per_day=1000.") from error


def _key_row(key: Key) -> tuple[str, ...]:
    state = "revoked" if key.revoked_at else "valid" if key.valid else "expired"
    until = f" until {key.expires_at[:10]}" if key.expires_at and state == "valid" else ""
    return (
        f"{key.id}_…",
        key.name,
        key.role,
        " ".join(key.permissions),
        ", ".join(key.groups),
        state + until,
        (key.used_at or "never")[:16].replace("T", " "),
    )


def _user_row(user: User) -> tuple[str, ...]:
    return (
        user.name,
        user.role,
        ", ".join(user.groups),
        user.email,
        "password" if user.issuer == "local" else user.issuer,
        "disabled" if user.disabled else "active",
        (user.signed_in_at or "never")[:16].replace("T", " "),
    )


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | map[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen = console.console()
    if not screen.is_terminal:  # whoever reads this is a program, which wants a line for each
        screen.width = 1000
    screen.print(table)
