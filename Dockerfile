# rag-bot in a container: docker build -t rag-bot . (with --build-arg FAISS=gpu for NVIDIA GPUs).
ARG PYTHON=3.12.12

FROM python:${PYTHON}-slim-bookworm AS build
ARG FAISS=cpu
# More extras of pyproject.toml, each with a comma before it: ",slack,openai"
ARG EXTRAS=""
# One more package index, such as one that has PyTorch's builds for the CPU: the image is then some gigabytes smaller.
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/rag-bot
ENV PATH=/opt/rag-bot/bin:$PATH
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
# What we stand on goes in first, around empty packages: a change of our own code then costs seconds, not minutes.
RUN mkdir ingest rag_bot \
    && touch ingest/__init__.py rag_bot/__init__.py \
    && pip install -c constraints.txt ".[${FAISS}${EXTRAS}]" \
    && pip uninstall -y rag-bot \
    && rm -rf ingest rag_bot build ./*.egg-info
COPY ingest ingest
COPY rag_bot rag_bot
RUN pip install --no-deps .

FROM python:${PYTHON}-slim-bookworm
RUN groupadd --gid 10001 rag-bot \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin rag-bot \
    && install -d -o rag-bot -g rag-bot /index /app
COPY --from=build /opt/rag-bot /opt/rag-bot
# Written to are only /index and /tmp: the rest may be mounted read-only. /app is where readers.toml or rag-bot.toml may be put.
# A container listens to others, so accounts are on: RAG_BOT_ADMIN_PASSWORD, or a file of that name in /run/secrets.
ENV PATH=/opt/rag-bot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    RAG_BOT_INDEX=/index \
    RAG_BOT_EXPORTS=/index/exports \
    RAG_BOT_HOST=0.0.0.0 \
    RAG_BOT_AUTH=on \
    RAG_BOT_PORT=8000
WORKDIR /app
# A number, so that Kubernetes sees that it is not root.
USER 10001:10001
VOLUME /index
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["rag-bot", "serve"]
