"""The typer application: the commands, in the order a new user meets them, and what happens to errors."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

import attndsl
from attndsl.cli.bench import bench
from attndsl.cli.check import check
from attndsl.cli.compile import compile_pattern
from attndsl.cli.demo import demo
from attndsl.cli.doctor import doctor
from attndsl.cli.explain import explain
from attndsl.cli.fit import fit
from attndsl.cli.list_patterns import list_patterns
from attndsl.cli.plan import plan
from attndsl.cli.show import show
from attndsl.cli.simulate import simulate
from attndsl.cli.stubs import stubs
from attndsl.diagnostics import AttnError, AttnFileError, AttnScheduleError


class Commands(TyperGroup):
    """The commands; an error that a user can cause ends in a diagnostic and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except AttnError as error:
            raise _refuse(error) from None
        except BrokenPipeError:
            raise  # typer ends quietly: the reader of a pipe has seen enough
        except OSError as error:
            raise _refuse(AttnFileError("A0812", f"the system refused: {error}")) from None
        except MemoryError:
            refusal = AttnScheduleError("A0500", "out of memory", help="use a smaller shape, or larger tiles")
            raise _refuse(refusal) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning without the place in the code, which means nothing to a user."""
    typer.echo(f"warning: {message}", err=True)


def _refuse(error: AttnError) -> typer.Exit:
    """Print an error; the exit code 1 is to be raised."""
    typer.echo(error.render(), err=True)
    return typer.Exit(1)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attndsl {attndsl.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A compiler for attention patterns: from a few lines of .attn to exact, fast kernels.

    PATTERN is a name from `attndsl list`, or a path to a .attn file (my.attn:name where it holds several).
    """


app.command("list")(list_patterns)
app.command("check")(check)
app.command("show")(show)
app.command("explain")(explain)
app.command("compile")(compile_pattern)
app.command("simulate")(simulate)
app.command("plan")(plan)
app.command("fit")(fit)
app.command("bench")(bench)
app.command("demo")(demo)
app.command("stubs")(stubs)
app.command("doctor")(doctor)
