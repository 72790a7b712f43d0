"""`dyn config`: the settings of dyn, where each comes from, and how to change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynamo_cli import contexts, settings
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.editing import edited, set_in_file
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.layers import Found, as_text
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.settings import setting_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

Key = Annotated[str, typer.Argument(metavar="SETTING", parser=text, help="The setting; dyn config show lists them.")]
Value = Annotated[list[str], typer.Argument(metavar="VALUE", parser=text, help="Its value; several nodes: in order.")]
In = Annotated[
    str | None,
    typer.Option("--in", metavar="CONTEXT", parser=text, help="In this saved context; default: config.toml."),
]
NAMES = " ".join(settings.BY_NAME)
BEGIN = '# Settings of dyn for every context; one a line, as in: output = "json"\n# What there is: dyn config show\n'


@command(
    "config show",
    panel="Configure",
    examples=[
        ("dyn config show --origin", "every setting, its value, and who says so"),
        ("dyn config", "the same without who says so"),
        ("dyn -c prod config show --origin", "as it would be in another context"),
    ],
    see=["config set", "context show"],
)
def show_settings(
    call: Call, origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False
) -> ExitStatus:
    """Show every setting: flag, else environment, ./dyn.toml, the context in force, config.toml, default."""
    call.emit(
        settings_document(call), View(_with_origin if origin else _without, setting_rows, lambda d: list(d["settings"]))
    )
    if not origin:
        call.suggest("dyn config show --origin", "dyn config set SETTING VALUE")
    return ExitStatus.OK


def settings_document(call: Call) -> Document:
    """The dyn.config/v1 document: every setting, its value and who says so. No value is a secret: those are files."""
    return {"schema": "dyn.config/v1", "settings": [_setting(call, setting) for setting in settings.SETTINGS]}


def _setting(call: Call, setting: settings.Setting) -> Document:
    """One setting as it is: a flag of this line first, as every command would see it."""
    layers, options, manner = call.env.layers, call.options, call.env.manner
    flags: dict[str, Any] = {
        "nodes": options.nodes, "tls-ca": options.tls_ca, "tls-cert": options.tls_cert, "tls-key": options.tls_key,
        "ascii": manner.ascii, "no-input": not manner.asks,
    }  # fmt: skip
    found = layers.find(setting.name)
    if flags.get(setting.name):
        found = Found(flags[setting.name], setting.flag)
    if setting.name == "context":
        found = layers.chosen if layers.name else None
    told = {"name": setting.name, "value": setting.default or None, "origin": "default", "meaning": setting.meaning}
    if found is not None:
        told |= {"value": as_text(found.value), "origin": found.origin}
    return {**told, "can_be_set_in": setting.places.split(", ")}


def _with_origin(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.settings import settings_screen

    return settings_screen(document, origin=True, wide=wide)


def _without(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.settings import settings_screen

    return settings_screen(document)


@command(
    "config get",
    panel="Configure",
    examples=[
        ("dyn config get timeout", "its value alone"),
        ("dyn config get context", "the context in force, for a prompt"),
        ("dyn config get nodes --json", "with where it comes from"),
    ],
    see=["config show"],
    completes={"name": NAMES},
)
def get(call: Call, name: Key) -> ExitStatus:
    """Print what one setting is."""
    document = {"schema": "dyn.config.setting/v1", **_setting(call, settings.named(name))}
    if call.for_people or call.format in ("plain", "value"):
        call.env.write(f"{show(document['value'] or '')}\n")
    else:
        call.emit(document, View(_without, lambda d: setting_rows({"settings": [d]})))
    return ExitStatus.OK


@command(
    "config set",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn config set output json", "in config.toml: for every context"),
        ("dyn config set timeout 10 --in prod", "in one context"),
        ("dyn config set nodes 10.0.0.1:7700 10.0.0.2:7700 --in prod", "several nodes"),
    ],
    exits=[3, 9],
    see=["config unset", "config show"],
    completes={"name": NAMES, "context": "contexts"},
)
def change(call: Call, name: Key, value: Value, context: In = None) -> ExitStatus:
    """Set a setting in config.toml, or in a saved context. Comments and other lines stay as they are."""
    _may_stand(name, context)
    words: object = list(value) if name == "nodes" else " ".join(value)
    if name == "nodes":
        words = [word for part in value for word in part.replace(",", " ").split()]
    read = settings.checked(name, Found(words, settings.LINE))
    if isinstance(read, bool | float):
        words = read
    if name == "protected" and not read:
        _unprotected(call, context)
    if name == "context" and words != contexts.NONE:
        contexts.read(call.env.environ, str(words))
    path = _file(call, context)
    set_in_file(path, name, words)
    call.env.read_again()
    call.say(f"{name} is {show(as_text(words))} in {show(path)}")
    _warn_of_others(call, name, path, context)
    return ExitStatus.OK


def _warn_of_others(call: Call, name: str, path: str, context: str | None) -> None:
    """Say so if somebody else says something that counts before what was set now, or if more is to be mended."""
    try:
        found = call.env.layers.find(name)
    except CliError as error:
        call.note(f"! {show(error.line())}")
        return
    here = path if context is None else f"context {context}"
    if found is not None and found.origin != here and context in (None, call.env.context_name):
        call.note(f"! {show(found.origin)} says {show(as_text(found.value))}, which counts")


def _unprotected(call: Call, context: str | None) -> None:
    """Raise REFUSED unless whoever takes the protection away names the context."""
    if call.options.confirmed != context:
        raise CliError(ExitStatus.REFUSED, f"context {context} is protected", f"Pass --confirm {context}")


def _may_stand(name: str, context: str | None) -> None:
    """Raise a usage error for a setting that the file of a context, or config.toml, cannot have."""
    settings.named(name)
    settings.belongs(name, context=context is not None)


def _file(call: Call, context: str | None) -> str:
    if context is None:
        return contexts.config_path(call.env.environ)
    contexts.read(call.env.environ, context)
    return contexts.context_path(call.env.environ, context)


@command(
    "config unset",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn config unset output", "from config.toml"),
        ("dyn config unset protected --in staging", "from a context"),
        ("dyn config unset timeout -q", "say nothing"),
    ],
    exits=[3, 9],
    see=["config set", "config show"],
    completes={"name": NAMES, "context": "contexts"},
)
def unset(call: Call, name: Key, context: In = None) -> ExitStatus:
    """Take a setting out of config.toml, or out of a saved context."""
    _may_stand(name, context)
    path = _file(call, context)
    if name == "protected":
        _unprotected(call, context)
    set_in_file(path, name, None)
    call.env.read_again()
    call.say(f"{name} is no longer set in {show(path)}")
    _warn_of_others(call, name, path, context)
    return ExitStatus.OK


@command(
    "config edit",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn config edit", "config.toml in $VISUAL or $EDITOR"),
        ("EDITOR=nano dyn config edit", "in another editor"),
        ("dyn context edit prod", "a context instead"),
    ],
    exits=[9],
    see=["config set", "context edit"],
)
def edit(call: Call) -> ExitStatus:
    """Open config.toml in your editor; it is saved only if it makes sense."""

    def check(table: contexts.Table) -> None:
        for key, value in table.items():
            if key == "alias" and isinstance(value, dict):
                continue
            _may_stand(key, None)
            settings.checked(key, Found(value, "what you wrote"))

    if edited(call, contexts.config_path(call.env.environ), check, BEGIN):
        call.say("saved config.toml")
    else:
        call.note("nothing was changed")
    return ExitStatus.OK


@command(
    "config path",
    panel="Configure",
    examples=[
        ("dyn config path", "the files that settings come from"),
        ("dyn config path --json", "and which of them are there"),
        ("ls -l $(dyn config path --field config)", "for scripts"),
    ],
    see=["config show"],
)
def path(call: Call) -> ExitStatus:
    """Print where configuration is read from."""
    environ, layers = call.env.environ, call.env.layers
    document: Document = {
        "schema": "dyn.config.path/v1",
        "config": contexts.config_path(environ),
        "contexts": f"{contexts.directory(environ, 'config')}/contexts",
        "context": contexts.context_path(environ, layers.name) if layers.name else None,
        "local": contexts.LOCAL_FILE,
        "state": contexts.directory(environ, "state"),
    }
    call.emit(document, View(_path_screen, _path_rows))
    return ExitStatus.OK


def _path_rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return ("what", "path"), [(key, show(value or "")) for key, value in document.items() if key != "schema"]


def _path_screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    return Text("\n".join(f"{key:<10}{value}" for key, value in _path_rows(document)[1]))
