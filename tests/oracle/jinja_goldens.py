#!/usr/bin/env python3
"""Writes tests/fixtures/jinja.json: templates, variables, and what Jinja makes of them in lm-eval's environment
for task files (strict undefined, trailing newline kept). `output` is null where Jinja raises an error.
Needs: pip install jinja2==3.1.6"""
import json
import pathlib
import re

import jinja2

VARIABLES = {
    "question": " What is ünïcode? ",
    "choices": {"text": ["alpha", "be'ta", 'say "hi"', "a'b\"c"], "label": ["A", "B", "C", "D"]},
    "answerKey": "C",
    "n": 3,
    "negative": -7,
    "half": 0.5,
    "flag": True,
    "nothing": None,
    "empty": "",
    "words": "the quick  brown fox",
    "items_list": [1, 2.0, "x", None, True, [1, "y"], {"k": "v"}],
    "rows": [{"name": "one", "n": 1}, {"name": "two", "n": 2}],
    "greek": "ΟΔΟΣ ΣΑΣ",
    "tabs": "a\tb\nc\\d\x01\u2028é",
}

TEMPLATES = r"""
plain text
{{question}}
{{ question.strip() }}|{{ question.lstrip() }}|{{ question.rstrip() }}
{{question|trim}}
{{choices.text}}
{{choices['text'][0]}} {{choices.text[-1]}} {{ choices["label"][1:3] }}
{{choices.label.index(answerKey)}}
{{choices.label.index('Z')}}
{{choices.text|length}} {{choices|length}} {{question|length}} {{question|count}}
{{missing}}
{{missing is defined}} {{question is defined}} {{missing is undefined}}
{{choices.nothing is defined}}
{{choices.nothing}}
{{missing.deeper}}
{{missing|default('d')}} {{empty|default('d')}}|{{empty|default('d', true)}}
{{words.split(' ')}} {{words.split()}} {{words.split(' ', 1)}} {{ words.split('quick')[0] }}
{{words.split(' ')[:-1]|join(' ')}}|{{' '+words.split(' ')[-1]}}
{{words.replace('quick', 'slow')}} {{words|replace(' ', '')}} {{words.replace(' ', '_', 2)}}
{{'abc'.replace('', '-')}}
{{words.upper()}} {{words|upper}} {{words.capitalize()}} {{'ÉCOLE öl'|capitalize}} {{greek.lower()}}
{{'Straße ﬁn'.upper()}} {{'ßa ﬁN'|capitalize}} {{'ﬁN'|capitalize}} {{'İI Σ ΑΣ ΑΣ. Σ1'.lower()}} {{'ǆA'|capitalize}}
{{'Straße ﬁn İΣς Ǆ ŉ ΐ'.casefold()}} {{question.casefold()}} {{'12'.isdigit()}} {{'٣'.isdigit()}} {{'²'.isdigit()}} {{'²'.isdecimal()}}
{{'½Ⅷ'.isnumeric()}} {{'½'.isdigit()}} {{'一万'.isnumeric()}} {{'a²'.isalnum()}} {{'①'.isdigit()}} {{''.isnumeric()}} {{'一'.isdigit()}} {{'-1'.isnumeric()}}
{{'a\r\nb\x85c\u2028d\x0be'|indent(2)}}|{{'\r\n'|indent}}|{{'a\r'|indent}}|{{'a\n'|indent(1, true)}}|{{''|indent(2, true)}}|{{'a\n\nb\r\r\nc\x1c'|indent('--', true, true)}}|{{'\n\n'|indent(2, false, true)}}
{{words.startswith('the')}} {{words.endswith('fox')}} {{words.find('quick')}} {{words.find('zzz')}}
{{', '.join(choices.label)}} {{choices.label|join}} {{items_list|join('/')}}
{{n + 1}} {{n - 5}} {{n * 2}} {{n / 2}} {{n // 2}} {{n % 2}} {{negative // 2}} {{negative % 3}} {{n * 1.5}}
{{1 / 0}}
{{-n}} {{-negative}} {{+n}} {{ - half }}
{{'a' + 'b'}} {{'a' ~ 1 ~ none}} {{'ab' * 3}} {{[1] + [2]}} {{[0] * 3}}
{{'a' + 1}}
{{n > 2}} {{n >= 3}} {{n < 3}} {{n <= 3}} {{n == 3}} {{n != 3}} {{n == 3.0}} {{1 < n < 5}} {{1 < n < 2}}
{{'a' < 'b'}} {{'abc' < 'abd'}} {{'Z' < 'a'}} {{'é' > 'z'}}
{{'a' < 1}}
{{'q' in words}} {{'zz' in words}} {{'A' in choices.label}} {{'text' in choices}} {{'zz' not in words}} {{1 in [1, 2]}}
{{not flag}} {{flag and n}} {{empty or 'x'}} {{nothing and missing}} {{flag or missing}} {{not not n}}
{{'yes' if flag else 'no'}} {{'yes' if empty else 'no'}} {{ 'a' if false else 'b' if false else 'c' }}
{{ 'x' if false }}
{{flag}} {{nothing}} {{half}} {{2.0}} {{true}} {{false}} {{none}} {{None}} {{True}}
{{items_list}}
{{rows}}
{{tabs}} {{[tabs]}}
{{[question, n, half, nothing]}} {{(1, 2)[0]}} {{ {'a': 1, 'b': [2]} }} {{ {'a': 1}['a'] }} {{ {'a': {'b': 'c'}}.a.b }}
{{words[0]}} {{words[-1]}} {{words[4:9]}} {{words[:3]}} {{words[-3:]}} {{words[::2]}} {{words[::-1]}} {{question[1:5]}}
{{[1,2,3,4,5][1:4]}} {{[1,2,3,4,5][::-2]}} {{[1,2,3,4,5][10:]}} {{[1,2,3][-10:2]}} {{[1,2,3][5:1:-1]}}
{{words[100]}}
{{[1,2,3][3]}}
{{'12'|int + 1}} {{' 7 '|int}} {{'x'|int}} {{'x'|int(9)}} {{'3.9'|int}} {{2.7|int}} {{true|int}} {{n|string + '!'}}
{{choices.label|first}}{{choices.label|last}}
{{'a\nb\t\'\"\\ \x41 \u00e9 \d'}}
{{"double 'single' inside"}} {{'single "double" inside'}}
{{'adjacent' ' strings'}}
{% set x = 'set' %}{{x}} {% set y = x + '!' %}{{y}}
{% set x = 'two
lines' %}{{x}}
{% if flag %}yes{% endif %}{% if empty %}no{% else %}else{% endif %}{% if false %}1{% elif n == 3 %}2{% else %}3{% endif %}
{% if missing %}x{% endif %}
{% if n > 2 and (empty or flag) %}deep{% if n == 3 %} deeper{% endif %}{% endif %}
{% for c in choices.text %}{{loop.index}}. {{c}}{% if not loop.last %}, {% endif %}{% endfor %}
{% for c in choices.label %}{{loop.index0}}{{c}}{{loop.first}}{{loop.length}} {% endfor %}
{% for x in [] %}a{% else %}none{% endfor %}
{% for x in [1,2,3,4] if x % 2 == 0 %}{{x}}-{{loop.index}} {% endfor %}
{% for k, v in choices.items() %}{{k}}={{v|length}};{% endfor %}
{% for k in choices %}{{k}} {% endfor %}{% for ch in 'aé' %}[{{ch}}]{% endfor %}
{% for r in rows %}{{r.name}}:{{r['n']}} {% endfor %}
{% for r in rows %}{% for c in 'ab' %}{{loop.index}}{{r.name}}{{c}} {% endfor %}{{loop.index}}{% endfor %}
{% set a = 1 %}{% for i in [1,2] %}{% set a = i + a %}{{a}} {% endfor %}{{a}}
{% if true %}{% set b = 5 %}{% endif %}{{b}}
{# a comment #}after{# another #}
a {{- ' b ' -}} c
a {%- if true -%} b {%- endif -%} c
  {{- 'x' }}
{{ choices.keys()|list if false else choices.get('label') }}
{{ choices.get('zzz') }} {{ choices.get('zzz', 'dflt') }}
{{ '5'.isdigit() }} {{ 'a5'.isdigit() }} {{ ''.isdigit() }}
{{ 'xxabcxx'.strip('x') }} {{ 'xyab'.lstrip('yx') }} {{ 'ab..'.rstrip('.') }}
{{ words is string }} {{ n is number }} {{ choices is mapping }} {{ nothing is none }} {{ choices.text is iterable }} {{ n is not string }} {{ nothing is not none }}
{{ [1, 1.0, true, 'a']|join(',') }} {{ 1e3 if false else 1.25 }} {{ 100.0 }} {{ 0.1 + 0.2 }}
{{ 1
   + 2 }}
{{ question.strip()[0] }} {{ (n + 1) * 2 }} {{ n + 1 * 2 }} {{ 10 - 2 - 3 }} {{ 'a' ~ 1 + 2 }}
{{ ['A', 'B'][n > 2] }} {{ ['A', 'B'][false] }}
{{ not n == 3 }} {{ -n|string }} {{ n is defined and n == 3 }}
{{ [1, 2].count(1) }} {{ [[1], [2]].index([2]) }} {{ 'banana'.index('nan') }}
{{ unclosed
{{ }}
{% if %}x{% endif %}
{% if flag %}x
{% endif %}
{% for in x %}{% endfor %}
{% nothere %}
{{ 'x }}
{{ a b }}
{{ n | nofilter }}
{{ words|regex_replace('[aeiou]', '*') }} {{ words|regex_replace('(\\w+) (\\w+)', '\\2 \\1', 1) }}
{{ words|regex_replace('(?P<w>q\\w+)', '<\\g<w>|\\g<1>|\\\\>') }} {{ words|regex_replace('x*', '-') }} {{ 'abxd'|regex_replace('x*', '-', count=2) }}
{{ words|regex_replace('q(z)?', '[\\1]') }} {{ tabs|regex_replace('\\s', '\\n') }} {{ question|regex_replace('\\W+', repl='_') }}
{{ words|regex_replace('(', '') }}
{{ words|regex_replace('q', '\\2') }}
{{ words|regex_replace('q', '\\y') }}
{{ words|regex_replace('q', '\\g<nope>') }}
{{ n|regex_replace('3', '4') }}
{{ items_list|batch(3)|list }} {{ words|batch(4, '.')|list }} {{ rows|batch(5)|list|length }}
{{ items_list|slice(3)|list }} {{ words|list|slice(4, 'x')|list }} {{ empty|slice(2)|list }}
{{ 'mid'|center(8) }}|{{ 'mid'|center(9) }}|{{ greek|center(3) }}|{{ 'x'|center|length }}
{{ words|truncate(9) }}|{{ words|truncate(9, true) }}|{{ words|truncate(9, false, '…', 0) }}|{{ words|truncate(255) }}|{{ 'abcdefghijkl'|truncate(5, leeway=0) }}|{{ words|truncate(17) }}
{{ words|truncate(2) }}
{{ question|urlencode }} {{ 'a/b?c=d&e'|urlencode }} {{ '<a>'|forceescape }}
{{ 'ßa ŉb ǆc ΑΣ ΣΑΣ ﬁx'|title }} {{ '99.5'|int }} {{ 'inf'|int(3) }} {{ 'x'|int(4) }} {{ '-1e3'|int }}
{{ 'a\101\60\1019\7z' }} {{ 'q\8' }}
{{ 1_000 }} {{ 0x1F }} {{ 0o17 }} {{ 0b101 }} {{ 1_0.2_5 }} {{ 1e1_0 }}
{{ n is notest }}
{{ (1 }}
{{ 1 + }}
{{ n.strip() }}
{{ words.nomethod() }}
{{ n() }}
{{ words % }}
{{ rows|groupby('n')|list }} {{ rows|groupby('name') }}
{% for size, group in [{'s': 'B'}, {'s': 'a'}, {'s': 'b', 't': 1}]|groupby('s') %}{{ size }}{{ group }}{% endfor %}
{% for g in [{'s': 'B'}, {'s': 'a'}, {'s': 'b'}, {}]|groupby('s', default='A', case_sensitive=true) %}{{ g.grouper }}{{ g.list|length }}{{ g['grouper'] }}{% endfor %}
{{ rows|groupby('nope') }}
{{ [{'a': 1, 'b': 'Y'}, {'a': 0, 'b': 'z'}, {'a': 1, 'b': 'x'}]|sort(attribute='a,b')|map(attribute='b')|join }} {{ [{'a': {'b': 2}}, {'a': {'b': 1}}]|sort(attribute='a.b') }}
{{ [{'a': {'b': 2}}, {}]|map(attribute='a.b', default={'b': 3})|list }}
{{ (1, 2)|list }} {{ (1, 2) + (3,) }} {{ (1, 2) * 2 }} {{ (1, 2)[:1] }}
{{ (1, 2) + [3] }}
{{ [1] + (2,) }}
{{ -7.5 // 2 }} {{ 7.5 // -2 }} {{ 1e16 // -1.5 }} {{ -1.5 % 0.5 }} {{ 1.5 % -0.5 }} {{ 0.0 // 2 }} {{ -6.0 % 3 }} {{ 6 % -2.5 }} {{ 0.3 // 0.1 }} {{ 1 // 0.1 }}
{{ 10.0 ** 400 }}
{{ 0 ** -1 }}
{{ 2 ** 0.5 }} {{ 2 ** -1 }} {{ 9 ** 0.5 }}
{{ (negative / 10)|round(0, 'ceil') }} {{ -0.2|round(0, 'ceil') }} {{ 1.5 is even }} {{ 2.0 is even }} {{ 3.0 is odd }} {{ 3.5 is odd }} {{ 1.5 is divisibleby 0.5 }}
{{ 'x' is even }}
{{ words|trim.upper() }}
{{ choices.label|first[0] }}
{{ words.split()|first|upper }} {{ (words|trim).upper() }} {{ (choices.label|first)[0] }} {{ n is defined and words|length == 20 }}
{{ n|indent }}
{{ n|truncate }}
{{ choices|urlencode }} {{ {'a b': 'c/d', 'e': 1}|urlencode }} {{ 'a b/c'|urlencode }} {{ n|urlencode }}
{{ words.center(25, '*') }}|{{ words.center(24) }}|{{ 'ab'.center(5) }}|{{ 'abc'.center(6) }}|{{ 'é'.center(4, '火') }}
{{ 'Straße ΑΣ İ'.casefold() }} {{ 'Straße ΑΣ ßa'.swapcase() }} {{ 'Hello World'.istitle() }} {{ 'HeLLo'.istitle() }} {{ ''.istitle() }} {{ 'é'.isascii() }} {{ ''.isascii() }} {{ 'ab'.isascii() }}
{{ 'a\tbc\td\n\te'.expandtabs() }}|{{ 'a\tb'.expandtabs(4) }}|{{ 'a\tb'.expandtabs(0) }}
{{ words.find('q', 5) }} {{ words.find('q', 4, 5) }} {{ words.find('e', -5) }} {{ words.find('', 99) }} {{ words.rfind('o', 0, 10) }} {{ words.rfind('o', none, -2) }} {{ words.index('o', 3) }} {{ words.rindex('o') }}
{{ words.count('o', 15) }} {{ words.count('', 2, 4) }} {{ words.count('o', 9, 2) }} {{ words.startswith('quick', 4) }} {{ words.endswith('quick', 0, 9) }} {{ words.startswith('', 99) }} {{ words.startswith(('x', 'the')) }}
{{ words.startswith(['the']) }}
{{ words.rindex('zz') }}
{% set größe = 2 %}{{ größe + 1 }} {% set 日本_1 = 'x' %}{{ 日本_1 }}
{% raw +%}{{ x }}{% endraw %}
{% for x in [] %}{% else %}{% set n = 9 %}{% endfor %}{{ n }}
{% for x in [1] if x > 1 %}{% else %}none{% endfor %}
{{ '<b>'|safe + '<i>' }} {{ '<i>' + '<b>'|safe }} {{ '<'|e + '<' }} {{ '<'|e|e }} {{ '<'|e|forceescape }} {{ '<'|safe ~ '<' }} {{ '<'|safe * 2 + '&' }} {{ ['<'|safe, '<'] }} {{ '"a" ' + [question, '<']|tojson + ' "b"' }} {{ '<'|safe|string + '<' }}
a {#-#} b {#+#} c {#--#} d {#-+#} e {#--}} #} f
{# open
}} stray %} braces { } ok
"""


def main():
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = lambda text, pattern, repl, count=0: re.sub(pattern, repl, text, count=count)  # lm-eval's
    templates, pending = [], ""
    for line in TEMPLATES.strip("\n").split("\n"):
        pending = pending + "\n" + line if pending else line
        if line.startswith("{% set x = 'two") or line == "{{ 1":
            continue
        templates.append(pending)
        pending = ""
    templates.append("trailing newline kept\n")
    templates.append("a\n{{- 1 }}\n\n{{ 2 -}}\n b\n")
    cases = []
    for template in templates:
        try:
            output = environment.from_string(template).render(**VARIABLES)
        except Exception:
            output = None
        cases.append({"template": template, "output": output})
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "jinja.json"
    document = {"made_by": f"jinja2 {jinja2.__version__}", "variables": VARIABLES, "cases": cases}
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
