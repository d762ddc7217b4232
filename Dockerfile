# What the sandboxed processes run in. `haet-eval image` builds it; see haet_eval/runtimes/image.py.
FROM python:3.11-slim-bookworm

RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# The heavy layer comes first, so that a change of our own code does not repeat it.
COPY sandbox/constraints.txt /opt/constraints.txt
RUN pip install --no-cache-dir --disable-pip-version-check --constraint /opt/constraints.txt \
    numpy pydantic safetensors torch torchvision

COPY haet_eval /opt/venv/lib/python3.11/site-packages/haet_eval
COPY sandbox /opt/sandbox
RUN python -m compileall -q /opt/venv/lib/python3.11/site-packages/haet_eval /opt/sandbox

WORKDIR /tmp
USER 65534:65534
