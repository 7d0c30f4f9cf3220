# For python:3.11-slim: Debian's Python under the names that the official image gives it.
FROM stand-in/debian
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python"]
