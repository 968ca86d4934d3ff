#!/usr/bin/env python3
"""Rows of Parquet files as pyarrow reads them, in the form in which zeval prints them.

    parquet_rows.py print FILE          one JSON object a line
    parquet_rows.py hash FILE...        "folder/name rows sha256" of those lines, or "folder/name refused why"
    parquet_rows.py make FOLDER         writes the fixtures of tests/fixtures/parquet and their hashes
    parquet_rows.py others FOLDER       those of other writers (needs duckdb, fastparquet and polars) and odd ones
    parquet_rows.py convert IN OUT CODEC ENCODING   JSON Lines (plain or gzip) to Parquet

Needs pyarrow (written with 26.0). What values become is said in tasks/parquet.h."""
import datetime
import decimal
import gzip
import hashlib
import json
import os
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq


def plain_bytes(value):
    try:
        text = value.decode("utf-8")
        return repr(value) if "\0" in text else text
    except UnicodeDecodeError:
        return repr(value)


def temporal(value, kind):
    """A timestamp or time, from its integer so that nanoseconds survive."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    second, rest = divmod(value, per_second)
    nanos = rest * (10**9 // per_second)
    day, second = divmod(second, 86400)
    text = "%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60)
    if nanos % 1000:
        text += ".%09d" % nanos
    elif nanos:
        text += ".%06d" % (nanos // 1000)
    if pa.types.is_time(kind):
        return text
    cycles, day = divmod(day, 146097)  # 400 years: Python's dates end with the year 9999
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    return "%04d-%02d-%02d %s%s" % (date.year + 400 * cycles, date.month, date.day, text,
                                    "+00:00" if kind.tz else "")


def convert(scalar):
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return temporal(scalar.value, kind)
    if pa.types.is_dictionary(kind):
        return convert(scalar.value)
    if pa.types.is_map(kind):
        items = [(convert(item["key"]), convert(item["value"])) for item in scalar.values]
        return {key if isinstance(key, str) else str(key): value for key, value in items}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [convert(item) for item in scalar.values]
    if pa.types.is_struct(kind):
        return {kind.field(i).name: convert(scalar[i]) for i in range(kind.num_fields)}
    value = scalar.as_py()
    if isinstance(value, uuid.UUID) or isinstance(value, (decimal.Decimal, datetime.date)):
        return str(value)
    if isinstance(value, bytes):
        return plain_bytes(value)
    if isinstance(value, int) and value >= 2**63:
        return str(value)
    return float(value) if pa.types.is_floating(kind) else value


def lines(path):
    table = pq.ParquetFile(path, page_checksum_verification=True).read()
    columns = [table.column(i) for i in range(table.num_columns)]
    for row in range(table.num_rows):
        yield json.dumps({table.field(i).name: convert(columns[i][row]) for i in range(len(columns))},
                         ensure_ascii=False)


def hash_line(path):
    digest, n = hashlib.sha256(), 0
    for line in lines(path):
        digest.update(line.encode() + b"\n")
        n += 1
    return "%s %d %s" % (short_name(path), n, digest.hexdigest())


def short_name(path):
    return "/".join(os.path.abspath(path).split("/")[-2:])


def fixture_table(n):
    day = datetime.date(2024, 2, 29)
    words = ["cat", "Größe", "", "日本", "the end", 'quote " and \\']
    numbers = [(i * 7919) % 1000 - 500 for i in range(n)]
    maybe = lambda i, value: None if i % 5 == 3 else value
    return pa.table({
        "text": pa.array([words[i % 6] + str(i // 6) for i in range(n)]),
        "few": pa.array([maybe(i, words[i % 6]) for i in range(n)]),
        "int8": pa.array([k % 100 for k in numbers], pa.int8()),
        "int32": pa.array([maybe(i, k) for i, k in enumerate(numbers)], pa.int32()),
        "int64": pa.array([k * 10**14 for k in numbers], pa.int64()),
        "uint32": pa.array([k * 4000000 if k > 0 else 4294967295 for k in numbers], pa.uint32()),
        "flag": pa.array([maybe(i, k % 3 == 0) for i, k in enumerate(numbers)]),
        "float": pa.array([k / 8 for k in numbers], pa.float32()),
        "double": pa.array([k / 7 for k in numbers], pa.float64()),
        "half": pa.array([k / 4 for k in numbers], pa.float16()),
        "money": pa.array([decimal.Decimal(k).scaleb(-3) for k in numbers], pa.decimal128(12, 3)),
        "day": pa.array([maybe(i, day + datetime.timedelta(days=k)) for i, k in enumerate(numbers)]),
        "time": pa.array([abs(k) * 86399 for k in numbers], pa.time64("us")),
        "stamp": pa.array([k * 10**12 + k for k in numbers], pa.timestamp("us", tz="UTC")),
        "local": pa.array([k * 10**15 + k for k in numbers], pa.timestamp("ns")),
        "raw": pa.array([bytes([k % 256, 0, 39]) for k in numbers]),
        "list": pa.array([maybe(i, [words[(i + k) % 6] for k in range(i % 4)]) for i in range(n)]),
        "lists": pa.array([maybe(i, [[k, None] * (k % 3) for k in range(i % 4)]) for i in range(n)],
                          pa.list_(pa.list_(pa.int64()))),
        "choices": pa.array([{"text": words[:i % 5], "label": list("ABCDE")[:i % 5]} for i in range(n)]),
        "turns": pa.array([maybe(i, [{"role": "user", "content": maybe(k, {"n": k})} for k in range(i % 3)])
                           for i in range(n)]),
        "map": pa.array([maybe(i, list({"k%d" % k: k for k in range(i % 3)}.items())) for i in range(n)],
                        pa.map_(pa.string(), pa.int32())),
    })


DELTA = {"text": "DELTA_BYTE_ARRAY", "few": "DELTA_LENGTH_BYTE_ARRAY", "int32": "DELTA_BINARY_PACKED",
         "int64": "DELTA_BINARY_PACKED", "uint32": "DELTA_BINARY_PACKED", "flag": "RLE",
         "float": "BYTE_STREAM_SPLIT", "double": "BYTE_STREAM_SPLIT", "half": "BYTE_STREAM_SPLIT",
         "money": "BYTE_STREAM_SPLIT", "day": "DELTA_BINARY_PACKED", "raw": "DELTA_BYTE_ARRAY",
         "list.list.element": "DELTA_BYTE_ARRAY"}

FIXTURES = {
    "plain.parquet": dict(use_dictionary=False, compression="none"),
    "dictionary_snappy.parquet": dict(compression="snappy", row_group_size=17),
    "v2_zstd_crc.parquet": dict(compression="zstd", data_page_version="2.0", write_page_checksum=True,
                                data_page_size=64),
    "v2_delta_gzip.parquet": dict(compression="gzip", data_page_version="2.0", use_dictionary=False,
                                  column_encoding=DELTA),
    "v1_delta_lz4.parquet": dict(compression="lz4", use_dictionary=False, column_encoding=DELTA,
                                 row_group_size=23),
    "brotli_crc.parquet": dict(compression="brotli", write_page_checksum=True, data_page_size=100),
}


def make(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "rows.txt"), "w") as out:
        for name, options in FIXTURES.items():
            path = os.path.join(folder, name)
            pq.write_table(fixture_table(40), path, store_schema=False, **options)
            out.write(hash_line(path) + "\n")


def write_fastparquet(path):
    import fastparquet
    import pandas
    frame = pandas.DataFrame({"text": ["cat", "", "Größe"] * 4, "int64": range(-6, 6), "flag": [True, False] * 6,
                              "double": [0.5, float("nan"), -3] * 4, "few": pandas.Categorical(["a", "b", "b"] * 4),
                              "stamp": pandas.to_datetime([1500000000123456] * 12, unit="us"),
                              "maybe": pandas.array([1, None, 3] * 4, dtype="Int32")}).astype({"text": object})
    fastparquet.write(path, frame, row_group_offsets=5, object_encoding={"text": "utf8"})


def write_duckdb(path):
    import duckdb
    duckdb.connect().execute("""copy (select i::int i, 'text ' || i::varchar t, case when i %% 3 > 0 then [i, null] end l,
        {'a': [{'b': 'x' || i::varchar}], 'c': null} s, map {'k': i} m, (i / 7)::double d, i::decimal(20, 3) n
        from range(40) r(i)) to '%s' (format parquet, parquet_version v2, compression zstd,
        dictionary_size_limit 1)""" % path)


def write_polars(path):
    import polars
    frame = polars.DataFrame({"t": ["cat", None, "Größe"] * 8, "l": [[], None, [[1], [None], []]] * 8,
                              "s": [{"text": ["a", None], "label": None}, None, {"text": [], "label": "q"}] * 8,
                              "d": [datetime.date(2024, 2, 29)] * 24, "e": ["few", "fewer", "few"] * 8})
    frame = frame.with_columns(polars.col("e").cast(polars.Categorical))
    frame.write_parquet(path, compression="lz4", row_group_size=10, data_page_size=50)


def write_wide_numbers(path):
    wide = [decimal.Decimal(sign * 10**k + k).scaleb(-7, context=decimal.Context(prec=100))
            for k in range(0, 76, 3) for sign in (1, -1)]
    pq.write_table(pa.table({"n": pa.array(wide + [None, 10**69 - 1, 1 - 10**69], pa.decimal256(76, 7)),
                             "low": pa.array([decimal.Decimal(k).scaleb(-76) for k in range(55)],
                                             pa.decimal256(76, 76)),
                             "unsigned": pa.array([2**64 - 1, 2**63, 2**63 - 1, None, 0] * 11, pa.uint64())}),
                   path, store_schema=False)


def write_no_columns(path):
    pq.write_table(pa.table({}), path)


OTHERS = {"fastparquet.parquet": write_fastparquet, "duckdb.parquet": write_duckdb, "polars.parquet": write_polars,
          "wide_numbers.parquet": write_wide_numbers, "no_columns.parquet": write_no_columns}


def others(folder):
    with open(os.path.join(folder, "others.txt"), "w") as out:
        for name, write in OTHERS.items():
            path = os.path.join(folder, name)
            write(path)
            out.write(hash_line(path) + "\n")


def to_parquet(source, target, codec, encoding):
    opener = gzip.open if source.endswith(".gz") else open
    with opener(source, "rt", encoding="utf-8") as rows:
        table = pa.Table.from_pylist([json.loads(line) for line in rows if line.strip()])
    options = dict(compression=codec, row_group_size=1000)
    if encoding == "delta":
        options.update(use_dictionary=False, data_page_version="2.0", column_encoding={
            field.name: "DELTA_BYTE_ARRAY" if pa.types.is_string(field.type) else "DELTA_BINARY_PACKED"
            for field in table.schema if pa.types.is_string(field.type) or pa.types.is_integer(field.type)})
    elif encoding == "plain":
        options.update(use_dictionary=False)
    elif encoding == "v2":
        options.update(data_page_version="2.0", write_page_checksum=True)
    pq.write_table(table, target, **options)


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "print":
        for one in lines(arguments[0]):
            print(one)
    elif command == "hash":
        for path in arguments:
            try:
                print(hash_line(path))
            except (OSError, pa.ArrowException) as error:
                print(short_name(path), "refused", str(error).split("\n")[0])
    elif command == "make":
        make(arguments[0])
    elif command == "others":
        others(arguments[0])
    elif command == "convert":
        to_parquet(*arguments)
    else:
        sys.exit(__doc__)
