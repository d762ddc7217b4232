# What the sandboxed processes run in. `haet-eval image` builds it; see haet_eval/runtimes/docker/image.py.
FROM python:3.11-slim-bookworm AS packages

RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# The heavy layer comes first, so that a change of our own code does not repeat it.
COPY sandbox/constraints.txt /opt/constraints.txt
RUN pip install --no-cache-dir --disable-pip-version-check --constraint /opt/constraints.txt \
    numpy pydantic safetensors torch torchvision

# The client's hit path in C++. The compiler stays in this stage; without a mirror of Debian's packages, or if
# it fails, the image has no compiled client and does without it.
FROM packages AS compiled
RUN mkdir /opt/compiled && \
    { timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 update && \
    DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
    install -y --no-install-recommends g++ libpython3-dev >/dev/null || \
    echo "No compiler could be installed: the image does without the compiled client."; }
COPY haet_eval/remote/client/compiled /opt/compiled-source
RUN python /opt/compiled-source/build.py /opt/compiled/client.so || true

FROM packages
COPY --from=compiled /opt/compiled /opt/compiled
ENV HAET_COMPILED_CLIENT=/opt/compiled/client.so

COPY haet_eval /opt/venv/lib/python3.11/site-packages/haet_eval
COPY sandbox /opt/sandbox
RUN python -m compileall -q /opt/venv/lib/python3.11/site-packages/haet_eval /opt/sandbox

WORKDIR /tmp
USER 65534:65534
