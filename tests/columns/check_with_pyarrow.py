#!/usr/bin/env python3
"""Opens a SCALAR block with pyarrow and compares every value with what was written.

usage: check_with_pyarrow.py <write_arrow_sample, or the folder it was built to>

Where pyarrow cannot be imported, a virtual environment with it is made in a temporary folder, from the package registry that pip is configured for.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TYPES = {"boolean": "bool", "int32": "int32", "int64": "int64", "uint32": "uint32", "uint64": "uint64", "float32": "float", "float64": "double",
         "string": "string", "strings": "list<item: string>", "bytes": "binary"}
FORMATS = {"float32": "<f", "float64": "<d"}


def with_pyarrow():
    """Runs this program again in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = os.path.join(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pyarrow"], check=True)
        sys.exit(subprocess.run([python, __file__, *sys.argv[1:]], env={**os.environ, "QUIVER_WITH_PYARROW": "1"}).returncode)


def canonical(type_name, value):
    """A value of pyarrow as the JSON spells it."""
    if value is None:
        return None
    if type_name in FORMATS:
        return struct.pack(FORMATS[type_name], value).hex()
    if type_name == "string":
        return value.encode().hex()
    if type_name == "strings":
        return [element.encode().hex() for element in value]
    if type_name == "bytes":
        return value.hex()
    return value


def check(condition, what):
    if not condition:
        sys.exit(f"FAIL {what}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        if os.environ.get("QUIVER_WITH_PYARROW"):
            raise
        with_pyarrow()

    program = Path(sys.argv[1])
    if program.is_dir():
        program = program / "write_arrow_sample"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(program.resolve()), folder], check=True)
        expected = json.loads(Path(folder, "expected.json").read_text())
        columns, rows, group_rows = expected["columns"], expected["rows"], expected["group_rows"]

        with pyarrow.memory_map(os.path.join(folder, "sample.arrow")) as source:
            start = source.read_buffer(1).address
            source.seek(0)
            file = pyarrow.ipc.open_file(source)
            schema = file.schema
            check(schema.names == [column["name"] for column in columns], f"names {schema.names}")
            check(schema.metadata == {b"quiver.block": b"scalar", b"quiver.format_version": b"1"}, f"metadata {schema.metadata}")
            for column in columns:
                field = schema.field(column["name"])
                check(str(field.type) == TYPES[column["type"]], f"{field.name} is {field.type}")
                check(field.nullable == column["nullable"], f"{field.name} nullable {field.nullable}")
                check(field.metadata == {b"quiver.type": column["type"].encode(), b"quiver.indexed": str(column["indexed"]).lower().encode()}, f"{field.name} {field.metadata}")

            check(file.num_record_batches == -(-len(rows) // group_rows), f"{file.num_record_batches} record batches")
            values = 0
            for group in range(file.num_record_batches):
                batch = file.get_batch(group)
                batch.validate(full=True)
                wanted = rows[group * group_rows:(group + 1) * group_rows]
                check(batch.num_rows == len(wanted), f"group {group} has {batch.num_rows} rows")
                for number, column in enumerate(columns):
                    array = batch.column(number)
                    for buffer in array.buffers():
                        check(buffer is None or (buffer.address - start) % 64 == 0, f"group {group}, {column['name']}: a buffer is not aligned")
                    found = [canonical(column["type"], value) for value in array.to_pylist()]
                    want = [row[number] for row in wanted]
                    check(array.null_count == want.count(None), f"group {group}, {column['name']}: {array.null_count} nulls")
                    for row, (a, b) in enumerate(zip(found, want)):
                        check(a == b and type(a) is type(b), f"group {group}, row {row}, {column['name']}: found {a!r}, expected {b!r}")
                        values += 1
            # The file as one table, and the stream of messages that it begins with.
            check(file.read_all().num_rows == len(rows), "read_all")
            source.seek(8)
            check(pyarrow.ipc.open_stream(source).read_all().num_rows == len(rows), "the stream ends at its mark")
    check(values == len(rows) * len(columns) and values > 0, "no values were compared")
    print(f"pyarrow {pyarrow.__version__}: {values} values in {file.num_record_batches} record batches are as they were written")


if __name__ == "__main__":
    main()
