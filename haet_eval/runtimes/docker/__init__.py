"""Workers in hardened containers: the only package that talks to the Docker engine.

Nothing here attaches to a container's streams (an attached stream that nobody drains blocks the engine's
`kill`), and no call waits for the engine without a limit.
"""

from haet_eval.runtimes.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
