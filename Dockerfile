# docker build -t cimbo . && docker run --rm -v "$PWD:/work" cimbo demo
FROM python:3.11-slim
COPY . /source
RUN pip install --no-cache-dir -c /source/constraints.txt /source && rm -rf /source \
    && useradd --create-home cimbo && mkdir /work && chown cimbo /work
USER cimbo
WORKDIR /work
ENTRYPOINT ["cimbo"]
CMD ["--help"]
