"""`exitflow secrets write`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.compose.secret_files import ContainerCredentials, lay_out, secret_files
from deploy.local.postgres.databases import DATABASE, Databases, embedded_databases, role_passwords
from deploy.local.secrets.private_files import write_private
from services.cli.support.command_line import AsJson, examples, new_app
from services.cli.support.output import show_json
from shared.errors import ConfigurationError
from shared.outbox.signatures import new_signing_key, signer_of
from shared.postgres.roles import with_role
from shared.settings import load_settings
from shared.wording import plural

SUPERUSER = "postgres"

app = new_app("Write the secrets of the containers; make signing keys.")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `secrets` to a panel of the help."""
    root.add_typer(app, name="secrets", rich_help_panel=panel)


@app.callback()
def group() -> None:
    """Manage the secrets of a containerized system."""


@app.command("write", epilog=examples("secrets write --kept /secrets/kept/secrets.json --to /secrets"))
def write(
    kept: Annotated[Path, typer.Option(help="File to keep them; made if it is not there.")],
    to: Annotated[Path, typer.Option(help="Has a directory for each service.")],
    server: Annotated[str, typer.Option(help="host:port of PostgreSQL, unless EXITFLOW_ADMIN_DATABASE_URL is set.")] = (
        "postgres:5432"
    ),
    as_json: AsJson = False,
) -> None:
    """Make passwords and tokens once, and give each service the files with its own. Repeating it is harmless."""
    credentials = ContainerCredentials.of(kept)
    changed = lay_out(secret_files(_databases(server, credentials), credentials), to)
    if as_json:
        show_json({"written": changed})
    else:
        print(f"secrets: {plural(len(changed), 'file')} written" + (f": {', '.join(changed)}" if changed else ""))


@app.command("key", epilog=examples("secrets key --private exit.key --public exit.pub"))
def key(
    private: Annotated[Path, typer.Option(help="File for the private key; it must not exist. Mode 600.")],
    public: Annotated[Path, typer.Option(help="File to add the public key to.")],
    as_json: AsJson = False,
) -> None:
    """Create a key for signing events; EXITFLOW_EVENT_SIGNING_KEY takes the content of the private file.

    EXITFLOW_EXIT_EVENT_KEYS or EXITFLOW_TRADE_EVENT_KEYS of the consumers takes the content of the public file. To
    rotate a key, add the new public key there first, restart the consumers, then give the writers the new private key.
    """
    if private.exists():
        raise ConfigurationError(f"{private} exists; name another file: a key is never overwritten")
    pem = new_signing_key()
    signer = signer_of(pem, str(private))
    try:
        write_private(private, pem)
        with public.open("a") as keys:
            keys.write(signer.public_pem())
    except OSError as error:
        raise ConfigurationError(f"cannot write {error.filename}: {error.strerror}") from error
    if as_json:
        show_json({"key_id": signer.key_id, "private": str(private), "public": str(public)})
    else:
        print(f"key {signer.key_id}: {private}, {public}")


def _databases(server: str, credentials: ContainerCredentials) -> Databases:
    admin = load_settings().admin_database()
    if admin is not None:
        return Databases(admin, admin, role_passwords(credentials))
    url = with_role(f"postgresql://{server}/{DATABASE}", SUPERUSER, credentials.postgres_password)
    return embedded_databases(url, credentials)
