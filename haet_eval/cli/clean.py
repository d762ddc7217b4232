"""`haet-eval clean`: remove what interrupted runs left."""

import click


@click.command()
def clean() -> None:
    """Remove containers and folders of interrupted runs; live runs are left alone."""
    from haet_eval.runtimes.leftovers import remove_leftovers

    removed = remove_leftovers()
    for container in removed.containers:
        click.echo(f"container {container}")
    for folder in removed.folders:
        click.echo(f"folder {folder}")
    if removed.engine_problem:
        click.echo(f"containers were not looked for: {removed.engine_problem}", err=True)
    elif not removed.containers and not removed.folders:
        click.echo("nothing was left behind", err=True)
