"""`dyn context`: clusters under names. A context says which nodes to ask and how; it never holds a password."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import contexts, settings
from dynamo_cli.arguments import choice, text
from dynamo_cli.call import Call
from dynamo_cli.client import parse_address
from dynamo_cli.editing import edited
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.layers import EVERYWHERE, OF_CONTEXT, Found, Layers
from dynamo_cli.options import command
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    pass

Name = Annotated[str, typer.Argument(metavar="NAME", parser=text, help="The context.")]
NewName = Annotated[str, typer.Argument(metavar="NEW", parser=text, help="Its new name.")]
PREVIOUS_FILE = "previous-context"


# Making -----------------------------------------------------------------------------------------------


@command(
    "context add",
    panel="Configure",
    examples=[
        ("dyn context add local -n :7701 -n :7702", "save a cluster under a name"),
        ("dyn context add prod -n 10.0.0.1:7700 --tls-ca ca.pem --protected", "what is dangerous needs its name"),
        ("dyn context add prod -n 10.0.0.1:7700 --password-file ~/.dyn-prod", "the file is named, never copied"),
    ],
    see=["context use", "config set"],
    completes={"password_file": "files", "prompt_color": " ".join(settings.PROMPT_COLORS)},
)
def add(
    call: Call,
    name: Name,
    password_file: Annotated[
        str | None, typer.Option("--password-file", metavar="FILE", parser=text, help="File with the client password.")
    ] = None,
    protected: Annotated[
        bool, typer.Option("--protected", help="What is dangerous needs the name, typed or by --confirm.")
    ] = False,
    prompt_color: Annotated[
        str | None,
        typer.Option(
            "--prompt-color",
            metavar="COLOR",
            parser=choice(*settings.PROMPT_COLORS),
            help="Colour of the shell's prompt.",
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", parser=text, help="What it is, for the list.")] = "",
    use: Annotated[bool, typer.Option("--use", help="Use it from now on.")] = False,
) -> ExitStatus:
    """Save a cluster under a name: its nodes (-n), and how to speak to them. Nothing is asked of the nodes."""
    environ = call.env.environ
    if contexts.checked_name(name) in contexts.names(environ):
        raise CliError(ExitStatus.REFUSED, f"there is a context {name}", f"Change it: dyn context edit {name}")
    nodes = [str(parse_address(word)) for word in ",".join(call.options.nodes).replace(",", " ").split()]
    if not nodes:
        raise usage("a context needs nodes", f"Name them: dyn context add {name} -n HOST:PORT")
    files = {"password-file": password_file, "tls-ca": call.options.tls_ca, "tls-cert": call.options.tls_cert,
             "tls-key": call.options.tls_key}  # fmt: skip
    table: contexts.Table = {"nodes": nodes}
    table |= {key: os.path.abspath(os.path.expanduser(path)) for key, path in files.items() if path}
    more = {"protected": protected or None, "prompt-color": prompt_color, "note": note or None}
    table |= {key: value for key, value in more.items() if value is not None}
    _check(name, table)
    path = contexts.save(environ, name, table)
    call.say(f"saved context {name} in {show(path)}")
    if use:
        _use(call, name)
    else:
        call.suggest(f"dyn context use {name}", f"dyn context check {name}", f"dyn -c {name} cluster status")
    return ExitStatus.OK


def _check(name: str, table: contexts.Table) -> None:
    """Raise a usage error for a setting that no context may have, or may not have so."""
    for key, value in table.items():
        if key not in (*EVERYWHERE, *OF_CONTEXT):
            raise usage(f"{key} is no setting of a context", f"Known are: {', '.join((*EVERYWHERE, *OF_CONTEXT))}")
        settings.checked(key, Found(value, f"context {name}"))


@command(
    "context edit",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn context edit prod", "in $VISUAL or $EDITOR; saved only if it makes sense"),
        ("EDITOR=nano dyn context edit prod", "in another editor"),
        ("dyn config set protected on --in prod", "one setting, without an editor"),
    ],
    exits=[3, 9],
    see=["config set", "context show"],
    completes={"name": "contexts"},
)
def edit(call: Call, name: Name) -> ExitStatus:
    """Open a context in your editor."""
    environ = call.env.environ
    contexts.read(environ, name)
    path = contexts.context_path(environ, name)
    if edited(call, path, lambda table: _check(name, table)):
        call.say(f"saved context {name}")
    else:
        call.note("nothing was changed")
    return ExitStatus.OK


@command(
    "context rename",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn context rename local dev", "also where it is in force"),
        ("dyn context rename prod prod-old", "before another one takes its name"),
        ("dyn context rename a b -q", "say nothing"),
    ],
    exits=[3, 9],
    see=["context copy", "context rm"],
    completes={"name": "contexts"},
)
def rename(call: Call, name: Name, new: NewName) -> ExitStatus:
    """Give a context another name."""
    _copied(call, name, new)
    contexts.remove(call.env.environ, name)
    if _in_use(call) == name:
        _point(call, new)
    call.say(f"context {name} is now {new}")
    return ExitStatus.OK


@command(
    "context copy",
    panel="Configure",
    examples=[
        ("dyn context copy prod staging", "then: dyn context edit staging"),
        ("dyn context copy demo mine", "keep what a demo registered"),
        ("dyn context copy a b -q", "say nothing"),
    ],
    exits=[3, 9],
    see=["context rename", "context edit"],
    completes={"name": "contexts"},
)
def copy(call: Call, name: Name, new: NewName) -> ExitStatus:
    """Save a context once more, under another name."""
    _copied(call, name, new)
    call.say(f"saved context {new}, as {name} is")
    return ExitStatus.OK


def _copied(call: Call, name: str, new: str) -> None:
    environ = call.env.environ
    table = contexts.read(environ, name)
    if contexts.checked_name(new) in contexts.names(environ):
        raise CliError(ExitStatus.REFUSED, f"there is a context {new}", f"Remove it first: dyn context rm {new}")
    contexts.save(environ, new, table)


@command(
    "context rm",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn context rm old", "forget a context; the cluster notices nothing"),
        ("dyn context rm prod --confirm prod", "a protected one needs its name"),
        ("dyn context rm old -q", "say nothing"),
    ],
    exits=[3, 9],
    see=["context ls", "context add"],
    completes={"name": "contexts"},
)
def remove(call: Call, name: Name) -> ExitStatus:
    """Forget a saved context."""
    environ = call.env.environ
    if contexts.read(environ, name).get("protected") is True and call.options.confirmed != name:
        raise CliError(ExitStatus.REFUSED, f"context {name} is protected", f"Pass --confirm {name}")
    contexts.remove(environ, name)
    if _in_use(call) == name:
        _point(call, None)
    call.say(f"forgot context {name}")
    return ExitStatus.OK


# Choosing ---------------------------------------------------------------------------------------------


@command(
    "context use",
    panel="Configure",
    examples=[
        ("dyn context use prod", "every later dyn speaks to it"),
        ("dyn context use none", "to the default node again"),
        ("dyn -c prod cluster status", "or for one command alone"),
    ],
    exits=[3],
    see=["context ls", "context -"],
    completes={"name": "contexts"},
)
def use(call: Call, name: Name) -> ExitStatus:
    """Use a context from now on. `none` uses none."""
    if name != contexts.NONE:
        contexts.read(call.env.environ, name)
    _use(call, name)
    return ExitStatus.OK


@command(
    "context -",
    panel="Configure",
    examples=[
        ("dyn context -", "back to the one before, as cd - does"),
        ("dyn context - -q", "say nothing"),
        ("dyn context use NAME", "to any other"),
    ],
    exits=[3],
    see=["context use"],
)
def previous(call: Call) -> ExitStatus:
    """Use the context that was in use before."""
    path = str(call.env.directory("state") / PREVIOUS_FILE)
    saved = contexts.read_table(path) or {}
    name = str(saved.get("context", ""))
    if not name:
        raise CliError(ExitStatus.NOT_FOUND, "no context was in use before", "Choose one: dyn context use NAME")
    if name != contexts.NONE:
        contexts.read(call.env.environ, name)
    _use(call, name)
    return ExitStatus.OK


def _use(call: Call, name: str) -> None:
    """Write down the context that counts from now on, and the one that did until now."""
    before = _in_use(call) or contexts.NONE
    if before != name:
        _point(call, None if name == contexts.NONE else name)
        path = str(call.env.directory("state") / PREVIOUS_FILE)
        contexts.write_private(path, contexts.toml_text({"context": before}))
    call.env.read_again()
    call.say("no context is in use" if name == contexts.NONE else f"context {name} is in use")
    now = Layers(call.env.environ)
    if now.displaced:
        call.note("! DYN_NODES is set in the environment: it counts instead, until it is unset")
    elif now.chosen is not None and now.chosen.origin != now.config_file:
        call.note(f"! {now.chosen.origin} says {show(str(now.chosen.value))}: that counts instead")


def _in_use(call: Call) -> str | None:
    """The context that config.toml says is in use, whether or not there is one of that name."""
    table = contexts.read_table(contexts.config_path(call.env.environ)) or {}
    return str(table["context"]) if "context" in table else None


def _point(call: Call, name: str | None) -> None:
    from dynamo_cli.editing import set_in_file

    set_in_file(contexts.config_path(call.env.environ), "context", name)
