#!/usr/bin/env python3
"""Writes tests/fixtures/chat/renders.json: what Python's jinja2, set up as transformers sets it up for chat templates,
makes of the templates in tests/fixtures/chat/templates.json (those that published models ship) and of small ones, some
written here and some put together at random. null is an error.

    python3 tests/oracle/chat_goldens.py [NODE_MODULES]

With a folder that holds npm's @huggingface/jinja the published templates are also rendered with it, and what differs is
printed. Needs: pip install jinja2==3.1.6"""
import datetime
import hashlib
import json
import pathlib
import random
import subprocess
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "chat"


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_pass"), [], [], body).set_lineno(line)

    def _pass(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda form: datetime.datetime(2024, 7, 26).strftime(form)


def render(source, variables):
    try:
        return environment.from_string(source).render(**variables)
    except Exception:
        return None


def short(text):
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": "zwei & <3"}}}
CONVERSATIONS = [
    [turn("user", "Hi there!")],
    [turn("system", "You are terse."), turn("user", "Hi there!")],
    [turn("user", "Hi"), turn("assistant", "Hello."), turn("user", "What is 1 + 1?")],
    [turn("system", " Be kind. \n"), turn("user", "  a\n\nb \t"), turn("assistant", "c  "), turn("user", "Ünï 火山 🙂")],
    [turn("user", "Question: <b>\"q\"</b>\nAnswer:"), turn("assistant", "A")],
    [turn("system", ""), turn("user", ""), turn("assistant", ""), turn("user", "x")],
    [turn("assistant", "I begin."), turn("user", "Do you?")],
    [turn("user", "one"), turn("user", "two"), turn("system", "late"), turn("assistant", "<think>\nhm\n</think>\n\nfour")],
    [turn("user", "sum?"), turn("assistant", None, tool_calls=[CALL]), turn("tool", "3"), turn("assistant", "3.")],
]
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds ü.", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"], "default": None}},
    "required": ["a"]}}}]

SMALL = r"""
{% set ns = namespace(n=0, s='') %}{% for x in [1,2,3] %}{% set ns.n = ns.n + x %}{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.n }}|{{ ns.s }}
{% macro m(a, b='B', c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c='x') }}{{ m(a='q', b=2) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}{{ m.name }}
{% macro outer(x) %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer(5) }}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro box() %}<{{ caller() }}>{% endmacro %}{% call box() %}in{% endcall %}
{% macro each(l) %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(v) each([1,2]) %}({{ v }}){% endcall %}
{% for x in [1,2,3,4] %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1,2,3,4] %}{% if x is even %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }} {% endfor %}
{% for x in [1,1,2] %}{{ loop.changed(x) }}{{ loop.cycle('a','b') }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for x in [[1,[2,[3]]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}
{% for a, b in [[1,2],[3,4]] %}{{ a }}-{{ b }} {% endfor %}{% for (a, b) in {'k': 'v'}.items() %}{{ a }}{{ b }}{% endfor %}
{% for a, b, c in [[1,2,3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% set a, b = [7, 8] %}{{ a }}{{ b }}
{% for x in missing %}never{% else %}empty{% endfor %}{{ missing }}|{{ missing|length }}|{{ missing is defined }}|{{ missing|default('d') }}
{{ missing.attribute }}
{{ messages.missing }}|{{ messages[0].nothing }}|{{ (messages[0].nothing or 'x') }}|{{ messages[9] }}
{{ missing + 1 }}
{{ missing ~ 'a' }}|{{ missing == missing }}|{{ missing == '' }}|{{ 'x' in missing }}|{{ not missing }}|{{ missing and 1 }}
{{ missing|upper }}|{{ missing|trim }}|{{ missing|list }}|{{ missing|join(',') }}|{{ missing|first }}|{{ missing is none }}|{{ missing is string }}|{{ missing is iterable }}
{{ missing|tojson }}
{{ missing|int }}
{{ missing() }}
{{ missing[0] }}
{{ none.x }}|{{ 1.x }}|{{ 'a'.x }}
{{ raise_exception('no') }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now("%Y-%m-%d") }} {{ strftime_now is defined }}
{{ {'a': [1, 2.5, none, true, 'ü<&>"']}|tojson }}{{ 'x'|tojson }}{{ [1]|tojson(indent=2) }}{{ {'b': 1, 'a': {}}|tojson(indent=4, sort_keys=true) }}
{{ {'a': [], 'b': {}, 'c': ['ü']}|tojson(indent=1) }}{{ ['ü🙂']|tojson(ensure_ascii=true) }}{{ {'a': 1, 'b': 2}|tojson(separators=(',', ':')) }}
{% generation %}gen{{ 1 }}{% endgeneration %}|{% set x = 1 %}{% generation %}{% set x = 2 %}{% endgeneration %}{{ x }}
{% set x %}captured {{ 1 }}{% endset %}[{{ x }}]{% set y | upper %}up{% endset %}{{ y }}
{% filter upper %}loud{{ 'er' }}{% endfilter %}{% with a=1, b=2 %}{{ a + b }}{% endwith %}{{ a }}
{% raw %}{{ not }} {% if %}{% endraw %}|{%- raw -%}  x {%- endraw -%} y
a {%- if true %} b {% endif -%} c{# comment -#}   d {#- other #} e
{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|rejectattr('role', 'equalto', 'user')|map(attribute='content')|join('/') }}
{{ messages|map(attribute='role')|unique|list }}{{ [3,1,2]|sort }}{{ [3,1,2]|sort(reverse=true) }}{{ messages|sort(attribute='content')|map(attribute='content')|list }}
{{ [1,2,3]|select('odd')|list }}{{ [1,2,3]|reject('gt', 1)|list }}{{ [0,1,'',none]|select|list }}{{ [1,2,3]|sum }}{{ [1,2,3]|max }}{{ ['b','A']|min }}
{{ ['a','b']|map('upper')|list }}{{ ['a ',' b']|map('trim')|join }}{{ [{'x': 1}, {}]|map(attribute='x', default=9)|list }}
{{ {'b': 1, 'a': 2}|dictsort }}{{ {'b': 1, 'a': 2}|items|list }}{{ {'a': {'b': 5}}|map('upper')|list }}{{ [{'a': {'b': 5}}]|map(attribute='a.b')|list }}
{{ 'a,b,c'.split(',') }}{{ 'a b  c'.split() }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a-b-c'.partition('-') }}{{ 'a-b-c'.rpartition('-') }}{{ 'a\nb\r\nc'.splitlines() }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abcabc'.find('c') }}{{ 'abcabc'.rfind('c') }}{{ 'banana'.count('an') }}{{ 'x'.join(['a', 'b']) }}
{{ ' a '.strip() }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'xxaxx'.rstrip('x') }}|{{ 'pre-x'.removeprefix('pre-') }}|{{ 'x.py'.removesuffix('.py') }}|{{ 'ab'.zfill(4) }}|{{ '-5'.zfill(4) }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '*') }}
{{ 'hello world'.title() }}{{ 'hello-world (x) [y'|title }}{{ 'HeLLo'.lower() }}{{ 'hELLo'.capitalize() }}{{ 'abc'.upper() }}{{ 'Abc'.isupper() }}{{ 'ABC'.isupper() }}{{ 'abc'.islower() }}
{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ ''.isalpha() }}
{{ '%s is %d and %.2f%%'|format('x', 3, 2.5) }}{{ '%05d|%-5s|%5s|%x' % (42, 'ab', 'cd', 255) }}{{ '{} {0}'.format(1) if false else '{} {}'.format(1, 'b') }}{{ '{1}{0}{k}'.format('a', 'b', k='c') }}
{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:x}|{!r}'.format('a', 'b', 'c', 42, 1.5, 255, 'q') }}{{ '{{}}'.format() }}{{ '{a[b]}'.format(a={'b': 7}) }}
{{ [1,2,3][1:] }}{{ [1,2,3][:-1] }}{{ [1,2,3][::-1] }}{{ 'abc'[::-1] }}{{ 'abc'[1] }}{{ messages[-1].content }}{{ messages[1:]|length }}
{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 % 3 }}{{ -7 % 3 }}{{ 2 ** 10 }}{{ 2 ** -1 }}{{ 7 / 2 }}{{ 1.5 + 1 }}{{ -2 ** 2 }}{{ 10 - 2 - 3 }}
{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ [1,2] < [1,3] }}{{ 1 < 2 < 3 }}{{ 2 in [1,2] }}{{ 'k' in {'k': 1} }}{{ 4 not in [1] }}{{ none == none }}
{{ 1 < 'a' }}
{{ 3 is divisibleby 3 }}{{ 3 is divisibleby(2) }}{{ 4 is even }}{{ 3 is odd }}{{ 'a' is in ['a'] }}{{ 1 is eq 1 }}{{ 1 is lt 2 }}{{ 2 is ge 3 }}{{ none is none }}{{ true is true }}{{ 1 is true }}{{ false is boolean }}{{ 1 is integer }}{{ 1.0 is float }}{{ raise_exception is callable }}{{ 'A' is upper }}{{ 'a' is lower }}{{ [] is sequence }}{{ {} is mapping }}{{ 5 is number }}{{ 'x' is filter }}{{ 'upper' is filter }}{{ 'even' is test }}{{ 1 is sameas 1 }}
{{ 3.7|int }}{{ '3.7'|float }}{{ 'x'|float(1.5) }}{{ -3|abs }}{{ 2.675|round(2) }}{{ 2.5|round }}{{ 3.14159|round(3) }}{{ 2.1|round(0, 'ceil') }}{{ 2.9|round(method='floor') }}{{ 5|round }}
{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(1, blank=true) }}|{{ 'a\nb'|indent('> ') }}
{{ 'a b c'|wordcount }}{{ '<&>'|e }}{{ 'x'|safe }}{{ [1,2]|reverse|list }}{{ 'abc'|reverse }}{{ 'abc'|first }}{{ [1,2]|last }}{{ []|first }}|
{{ range(3)|list }}{{ range(1, 4)|list }}{{ range(5, 0, -2)|list }}{{ range(0)|list }}{% for i in range(2) %}{{ i }}{% endfor %}
{{ dict(a=1, b=2) }}{{ dict({'a': 1}, a=3).a }}{{ namespace(x=1).x }}{{ namespace(x=1).y }}|
{{ range(1000000000) }}
{{ 'a' if missing else 'b' }}{{ ('x' if false) }}|{{ ('x' if false) is defined }}{{ 1 if true else raise_exception('x') }}
{% if missing is not defined and not (missing is defined) %}ok{% endif %}{% if messages is iterable and messages is not string and messages is not mapping %}list{% endif %}
{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ m.content }};{% else %}none{% endfor %}
{% for m in messages %}{% set last = m.content %}{% endfor %}{{ last }}|{% if true %}{% set seen = 1 %}{% endif %}{{ seen }}
{% for i in [1,2] %}{% if loop.first %}{% set z = 'set' %}{% endif %}[{{ z }}]{% endfor %}
{% set i = 5 %}{% for i in [1,2] %}{{ i }}{% endfor %}{{ i }}{% for j in [1] %}{% set i = 9 %}{{ i }}{% endfor %}{{ i }}
{{ messages[0]['content'] }}{{ messages[0]["role"]|upper }}{{ messages[0].get('zzz', 'dflt') }}{{ messages[0].get('zzz') }}{{ messages[0].keys()|list }}
{{ messages.append(1) }}
{{ messages[0].update({'a': 1}) }}
{{ messages[0].items is defined }}{{ messages[0].items() is defined }}
{{ 'a' 'b' }}{{ "it's" }}{{ 'say "x"' }}{{ 'tab\tnl\n\\ \x41 \u00e9' }}
{{ (1, 2)[0] }}{{ (1,)|length }}{{ ()|length }}{{ [1, 2,]|length }}{{ {'a': 1,}|length }}
{{ [[1,2],[3]]|sum(start=[]) }}{{ [{'n': 1},{'n': 2}]|sum(attribute='n') }}
{{ 'abc'|replace('b', 'x') }}{{ 'aaa'|replace('a', 'b', 2) }}{{ 'aaa'.replace('a', 'b', 1) }}{{ 'x'|attr('upper') is defined }}{{ {'upper': 1}|attr('zzz') is defined }}
{{ 'x' * 3 }}{{ [0] * 2 }}{{ 'a' ~ 1 ~ none ~ true }}{{ [1] + [2] }}
{{ true and 'x' }}{{ '' or 'y' }}{{ none or missing or 'z' }}{{ not true }}
{{ undefined_function('x') }}
{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}{{ m(1) }}
{% macro m(a) %}x{% endmacro %}{{ m(1, a=2) }}
{% set messages = messages[1:] %}{{ messages|length }}{{ messages[0].role }}
{%+ if true %}x{%+ endif %}|  {%+ if true +%}  
{% if true %}a{% elif raise_exception('n') %}b{% endif %}{% if false %}a{% elif true %}b{% else %}c{% endif %}
{{ 10|string|length }}{{ 1.0 }}{{ 1e20 }}{{ 123456789012345678 }}{{ 0.1 + 0.2 }}{{ 1/3 }}
{{ '🙂é'|length }}{{ '🙂é'[0] }}{{ '🙂é'|upper }}{{ '🙂é' ~ 'x' }}{{ 'é' in 'café' }}
{{ [1, 'a', none, true, 1.5, [], {}] }}{{ {'a': 'b"c', 'd': "e'f"} }}
{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}{% for k in messages[0] %}{{ k }}{% endfor %}
{% break %}
{% for x in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{{ 1
{% if %}
{{ messages | nofilter }}
{{ messages is notest }}
{% endfor %}
{% set x.y = 1 %}
{% set ns = namespace() %}{% set ns.a = [1] %}{% set ns.a = ns.a + [2] %}{{ ns.a }}{{ ns.b is defined }}
{% set d = {'a': 1} %}{% set d.a = 2 %}
{{ loop }}
{% for x in 5 %}{% endfor %}
{{ messages[0].content.split(' ')[0].strip('!').lower()|capitalize }}
{{- 'lead' }}   {{ 'trail' -}}   x
{% for x in [1,2] %}{{ x }}{% break %}{% else %}none{% endfor %}|{% for x in [1,2] %}{% continue %}{% else %}none{% endfor %}
{% for x in [1,2] %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% else %}none{% endfor %}|{% for x in [] %}{% else %}{% set n = 9 %}{% endfor %}{{ n }}
{{ [missing, messages[0].nothing] }}|{{ {'a': missing} }}|{{ missing|truncate }}|{{ missing is callable }}|{{ [1]|map(attribute='x')|list }}
{{ missing|indent }}
{{ 'Use \''|safe + messages[1].content + '\'\n'|safe + {'a': 1}|tojson }}|{{ {'a': '<'}|tojson + '<' }}
{{ '{}|{!r}|{x}'.format(missing, 1, x=missing) }}|{{ messages|groupby('role')|map(attribute='grouper')|join(',') }}
{{ messages|sort(attribute='role,content')|map(attribute='content')|list }}
""".strip("\n").split("\n")

PLAIN = [  # several lines, where blocks stand on lines of their own
    "A\n{% if true %}\nB\n{% endif %}\nC\n",
    "  {% for x in [1,2] %}\n  - {{ x }}\n  {% endfor %}\nend",
    "{% for x in [1,2] %}\n{{ x }}\n{% endfor %}\n\nend\n\n",
    "{# note #}\nA\n  {# note #}\n  B {# note #}\nC",
    "A {% if true %} B {% endif %} C\n \t {% set x = 1 %}\nD{{ x }}\n\n",
    "{%- for x in [1] -%}\n  {{ x }}\n{%- endfor %}\n  after",
    "a\r\nb{% if true %}\r\nc{% endif %}\rd",
    "x\n   {{ 1 }}\n   {{- 2 }}\ny",
    "{% if true %}{% endif %}\n\n{% if true %}\n{% endif %}\nz",
    "  {%+ if true %}\n a{% endif +%}\n b",
    "\n{% set a = 1 -%}\n\n  x {%- set b = 2 %}\n y",
    "{% macro m() %}\n  line\n{% endmacro %}\n[{{ m() }}]",
    "{% raw %}\n {{ x }} \n{% endraw %}\nafter",
    "{{ 'a\nb' }}\n{% set t = 'c\nd' %}\n{{ t }}",
    "\u00a0{% if true %}\u00a0\nx\u00a0{%- endif %}\n",
]


def random_templates(n):
    rng = random.Random(7)
    atoms = ["1", "2.5", "'a b'", "''", "'Xy'", "none", "true", "missing", "messages", "messages[0].content", "n", "[3, 1, 2]",
             "{'k': 'v', 'a': 1}", "words", "nested.a", "nested.b[1]", "-3", "'é火'"]
    filters = ["upper", "lower", "trim", "length", "list", "first", "last", "string", "int", "tojson", "default('d')", "join('-')",
               "reverse|list", "sort|list", "capitalize", "title", "replace('a', 'z')", "unique|list", "abs", "float", "items|list",
               "default('e', true)", "select|list", "map('string')|list", "round", "count", "max", "min", "safe", "wordcount"]
    tests = ["defined", "none", "string", "number", "mapping", "iterable", "sequence", "true", "boolean", "undefined", "integer"]
    binary = ["+", "-", "*", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or", "%", "//"]

    def expression(depth):
        pick = rng.random()
        if depth == 0 or pick < 0.15:
            return rng.choice(atoms)
        if pick < 0.45:
            return f"{expression(depth - 1)}|{rng.choice(filters)}"
        if pick < 0.7:
            return f"({expression(depth - 1)} {rng.choice(binary)} {expression(depth - 1)})"
        if pick < 0.8:
            return f"({expression(depth - 1)}) is {rng.choice(['', 'not '])}{rng.choice(tests)}"
        if pick < 0.87:
            return f"({expression(depth - 1)})[{rng.choice(['0', '-1', chr(39) + 'k' + chr(39)])}]"
        if pick < 0.94:
            return f"({expression(depth - 1)} if {expression(depth - 1)} else {expression(depth - 1)})"
        return f"not {expression(depth - 1)}"

    def statement(depth):
        pick = rng.random()
        space = lambda: rng.choice(["", "", " ", "\n", "\n  "])
        open_, close = rng.choice(["{%", "{%", "{%-"]), rng.choice(["%}", "%}", "-%}"])
        if depth == 0 or pick < 0.5:
            return space() + "{{ " + expression(2) + " }}" + space()
        if pick < 0.7:
            return f"{space()}{open_} if {expression(1)} {close}{statement(depth - 1)}{open_} else {close}{statement(depth - 1)}{{% endif %}}{space()}"
        if pick < 0.9:
            return f"{space()}{open_} for x in {rng.choice(['messages', 'words', '[1, 2, 3]', 'nested', 'missing'])} {close}{{{{ loop.index }}}}{{{{ x }}}}{statement(depth - 1)}{open_} endfor {close}{space()}"
        return f"{open_} set n = {expression(1)} {close}{statement(depth - 1)}"

    return [statement(2) for _ in range(n)]


VARIABLES = {"messages": CONVERSATIONS[3], "n": 4, "words": ["the", "Quick", "fox"], "nested": {"a": {"b": [1, 2]}, "b": ["x", "y"]}}


def main():
    published = json.loads((FOLDER / "templates.json").read_text(encoding="utf-8"))["templates"]
    cases = []
    for number, template in enumerate(published):
        base = {"bos_token": "<s>", "eos_token": "</s>", **template["variables"], "documents": None}
        if "messages" in template["variables"]:
            cases.append({"template": number, "own": True, "variables": {"tools": None, **base}})
        for which, messages in enumerate(CONVERSATIONS):
            for prompt in (True, False):
                more = {"messages": messages, "add_generation_prompt": prompt, "tools": TOOLS if which == 8 else None}
                cases.append({"template": number, "conversation": which, "prompt": prompt, "variables": {**base, **more}})
    renders = [render(published[case["template"]]["source"], case["variables"]) for case in cases]
    if len(sys.argv) > 1:
        compare_with_npm(published, cases, renders, sys.argv[1])
    for case, text in zip(cases, renders, strict=True):
        case["sha256"] = short(text)
        del case["variables"]
    small = [{"template": t, "output": render(t, VARIABLES)} for t in SMALL + PLAIN + random_templates(400)]
    document = {"made_by": f"jinja2 {jinja2.__version__}", "conversations": CONVERSATIONS, "tools": TOOLS, "cases": cases,
                "variables": VARIABLES, "small": small}
    text = json.dumps(document, ensure_ascii=False, indent=0, separators=(",", ":"))
    (FOLDER / "renders.json").write_text(text + "\n", encoding="utf-8")
    count = sum(case["sha256"] is not None for case in cases)
    print(f"{len(published)} templates, {len(cases)} renders ({count} without an error), {len(small)} small ones",
          f"({sum(s['output'] is not None for s in small)})")


def compare_with_npm(published, cases, renders, folder):
    script = """
const {Template} = require('@huggingface/jinja'), fs = require('fs');
const cases = JSON.parse(fs.readFileSync(0));
process.stdout.write(JSON.stringify(cases.map(c => { try { return new Template(c.source).render(c.variables); }
                                                     catch (e) { return null; } })));
"""
    data = json.dumps([{"source": published[c["template"]]["source"], "variables": c["variables"]} for c in cases])
    found = json.loads(subprocess.run(["node", "-e", script], input=data, capture_output=True, text=True, check=True,
                                      cwd=folder).stdout)
    differ = [c for c, ours, theirs in zip(cases, renders, found, strict=True) if ours != theirs]
    print(f"@huggingface/jinja agrees on {len(cases) - len(differ)} of {len(cases)}; it differs on",
          sorted({published[c['template']]["name"] for c in differ}))


main()
