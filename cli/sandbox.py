"""`hub sandbox`: a HaloPSA stand-in on this machine, to try rules and producers before touching a real Halo."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadInput
from sandbox import main as stand_in


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8901,
    fixture: Annotated[
        Path | None, typer.Option(help="YAML or JSON with the tenant's data; without it a packaged one.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="The address is written here once it listens.")
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(help="PEM; with --tls-key it speaks https, which other machines' hubs ask for."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM, not encrypted.")] = None,
) -> None:
    """Run a HaloPSA stand-in until SIGTERM or Ctrl-C."""
    if fixture is not None and not fixture.is_file():
        raise BadInput(f"{fixture} can't be read: there is no such file")
    if ready_file is not None and not ready_file.absolute().parent.is_dir():
        raise BadInput(f"{ready_file} can't be written: there is no such directory")
    if (tls_certificate is None) != (tls_key is None):
        raise BadInput("--tls-certificate and --tls-key go together")
    arguments = ["--host", host, "--port", str(port)]
    if fixture is not None:
        arguments += ["--fixture", str(fixture)]
    if ready_file is not None:
        arguments += ["--ready-file", str(ready_file)]
    if tls_certificate is not None and tls_key is not None:
        arguments += ["--tls-certificate", str(tls_certificate), "--tls-key", str(tls_key)]
    raise typer.Exit(stand_in.main(arguments))
