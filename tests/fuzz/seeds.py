"""Writes first inputs for the fuzz targets of texts, out of the tests' own files: templates for fuzz_jinja and
task files for fuzz_yaml_task, one folder each, and a dictionary of Jinja's words.

  python3 tests/fuzz/seeds.py FOLDER
  build/fuzz/fuzz_jinja -dict=FOLDER/jinja.dict -max_len=16384 -timeout=30 FOLDER/jinja
"""
import json
import pathlib
import sys

WORDS = """{{ }} {% %} {# #} {%- -%} {{- -}} if elif else endif for endfor in set endset macro endmacro call
endcall caller filter endfilter generation endgeneration break continue recursive namespace( loop.index0 loop.first
loop.last loop.previtem loop.nextitem loop.cycle( loop( raise_exception( strftime_now( range( dict( joiner( cycler(
is defined not none string mapping iterable | trim | tojson | join( | replace( | map( | selectattr( | rejectattr(
| default( | length | list | items | sort | unique | reverse | round | int | float | batch( | slice( | format(
.split( .strip( .startswith( .join( .format( .items() .get( .replace( .upper() [::-1] [1:] ** // % ~ '%s' messages
message['role'] bos_token eos_token tools add_generation_prompt self. 1000000000 'x' * 999999999""".split()


def templates(root):
    for name, key, field in (("jinja.json", "cases", "template"), ("chat/templates.json", "templates", "source"),
                             ("chat/renders.json", "small", "template")):
        for item in json.loads((root / name).read_text(encoding="utf-8"))[key]:
            yield item[field]


def write(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(texts):
        (folder / f"{i:04}").write_bytes(text.encode("utf-8", "surrogatepass"))
    print(f"{folder}: {len(texts)} inputs")


def main():
    out, tests = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).resolve().parent.parent
    write(out / "jinja", list(templates(tests / "fixtures")))
    files = sorted((tests.parent / "tasks/library").rglob("*.yaml")) + sorted((tests / "fixtures").rglob("*.yaml"))
    write(out / "yaml_task", sorted({path.read_text(encoding="utf-8") for path in files}))
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in WORDS)
    (out / "jinja.dict").write_text("".join(f'"{word}"\n' for word in quoted), encoding="utf-8")


main()
