"""`haet-eval image`: build the image that the sandboxed workers run in."""

import click

from haet_eval.cli.examples import CommandWithExamples


@click.command(
    cls=CommandWithExamples,
    examples=("haet-eval image",),
)
def image() -> None:
    """Build the sandbox image, needed once for each version of haet-eval."""
    from haet_eval.runtimes.docker.image import build_image

    click.echo(build_image(lambda line: click.echo(line, err=True)))
