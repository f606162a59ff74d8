FROM python:3.13-slim AS builder
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential libpq-dev mount iproute2 \
    # the compiler goes again below
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /venv
ENV PATH="/venv/bin:$PATH"
COPY requirements.txt .
RUN pip install -r requirements.txt

FROM python:3.13-slim
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --create-home app
COPY --from=builder /venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /home/app
COPY --chown=app:app . .
USER 10001
EXPOSE 8000/tcp
ENTRYPOINT ["gunicorn", "--bind", "0.0.0.0:8000", "app.wsgi"]
