"""Writes chat/testdata/expressions.json: small templates as the Jinja environment of transformers renders them.

Operators, methods, filters and tests are combined with values of every type, and joined by statements written by hand.
"""
import itertools
import json
import pathlib

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

OUT = pathlib.Path(__file__).parent.parent / "chat" / "testdata" / "expressions.json"

VALUES = ["7", "-7", "0", "2", "2.5", "-0.5", "1e20", "true", "none", "'ab'", "''", "[1, 2]", "(1, 'a')", "{'a': 1}", "nope"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]
TEXTS = ["'  a b  c '", "'a,b,,c'", "'x\\ny\\r\\nz\\n'", "'ÄÖß éx'", "'they\\'re bill\\'s FRIENDS-of (me)'", "'aXbX'", "''"]
METHODS = [
    "strip()", "lstrip()", "rstrip()", "strip('ac ')", "split()", "split(',')", "split(',', 1)", "split(none, 1)",
    "rsplit(',', 1)", "rsplit(none, 1)", "splitlines()", "splitlines(true)", "title()", "capitalize()", "upper()", "lower()",
    "swapcase()", "casefold()", "startswith('a')", "startswith(('x', ' '))", "startswith('b', 3)", "endswith('c ')",
    "endswith(('c', '\\n'))", "replace('a', 'bb')", "replace('X', '', 1)", "replace('', '-')", "find('b')", "rfind('X')",
    "index('X')", "count('X')", "count('')", "join(['1', '2'])", "join('ab')", "partition(',')", "rpartition(',')",
    "center(20)", "center(13, '*')", "ljust(13)", "rjust(13, '.')", "zfill(12)", "isdigit()", "isalpha()", "isspace()",
    "isupper()", "islower()", "removeprefix('a')", "removesuffix('X')", "format()", "nope", "nope()", "expandtabs()",
]
FILTERS = [
    "abs", "batch(2) | list", "batch(2, '-') | list", "capitalize", "center(12)", "default('d')", "default('d', true)",
    "d", "dictsort", "dictsort(reverse=true)", "dictsort(by='value')", "first", "float", "float(1.5)", "indent",
    "indent(2, true)", "indent('> ', blank=true)", "int", "int(9)", "items | list", "join", "join('-')", "last", "length",
    "list", "lower", "map('upper') | list", "map('string') | join('+')", "max", "min", "reject | list",
    "reject('number') | list", "replace('a', 'b')", "reverse | list", "reverse", "round", "round(1)", "round(1, 'floor')",
    "round(0, 'ceil')", "select | list", "select('string') | list", "slice(2) | list", "slice(2, '-') | list", "sort",
    "sort(reverse=true)", "string", "sum", "title", "tojson", "tojson(indent=2)", "trim", "trim('a')", "truncate(5)",
    "unique | list", "upper", "wordcount", "nope", "map('nope') | list", "int(base=16)", "count", "truncate(6, true, '')",
    "sum(start=1)", "tojson(separators=(',', ':'))", "tojson(ensure_ascii=true)", "tojson(sort_keys=true)", "format(1)",
]
FILTERED = [
    "'b\\na  A c\\n\\nd'", "'ab'", "''", "'-12.7'", "'1_0'", "'0x1f'", "'%s!'", "'ä\"<\\t'", "3", "-2.5", "2.675", "1e20", "true",
    "none", "nope", "[3, 1, 2, 1]", "['b', 'A', 'a']", "[[2, 'x'], [1, 'y']]", "[]", "(1, 'a')", "{'b': 1, 'a': [2.0, none]}",
    "range(4)", "[1, 'a', 2.5]",
]
TESTS = [
    "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping", "iterable",
    "sequence", "callable", "odd", "even", "divisibleby(2)", "divisibleby 2", "eq 2", "equalto(2)", "ne 2", "gt 1", "ge(2)",
    "lt 1", "le 2", "in [2, 'ab']", "upper", "lower", "sameas none", "sameas true", "nope", "not defined", "not none",
]
NUMBERS = [
    "2**3", "2**3**2", "-2**2", "2**-1", "2**0.5", "7 // 2", "-7 // 2", "7 // -2", "7.5 // 2", "-7 % 3", "7 % -3", "-7.5 % 2",
    "7 / 2", "6 / 2", "1 / 3", "1e3", "1e16", "1e-5", "0.1 + 0.2", "1.0", "-0.0", "10**18", "10**19", "1.5e300 * 1e10",
    "1 < 2 < 3", "1 < 2 > 3", "3 > 2 == 2", "1 == 1.0", "true == 1", "true + 1", "1 + 2 * 3 - 4 / 2", "(1 + 2) * 3",
    "2 * 'ab'", "'ab' * 0", "'a' 'b'", "'a' ~ 1 ~ none ~ 2.0", "1 ~ 2 + 3", "'%s-%d-%05.2f' % ('a', 3, 2.345)", "'%s' % 5",
    "'%s' % [1]", "'%x %o %e %g' % (255, 8, 12345.678, 0.0001)", "'%-5s|%5s|%+d' % ('a', 'b', 3)", "'%%' % ()",
    "'%(a)s' % {'a': 1}", "'%s %s' % (1,)", "'%s' % (1, 2)", "'%.3s' % 'abcdef'", "'%c' % 'x'", "'%r' % 'x'", "'%d' % 2.9",
    "'%d' % 'x'", "'%5.1f|%-8.3f|%08.3f' % (2.25, 2.0, -2.5)", "'{} {}'.format(1, 'a')", "'{0}{1}{0}'.format('a', 'b')",
    "'{x}'.format(x=3)", "'{{}}'.format()", "'abcdef'[1:4]", "'abcdef'[::-1]", "'abcdef'[::2]", "'abcdef'[-3:-1]",
    "'abcdef'[10:]", "'abcdef'[4:1:-1]", "[1, 2, 3, 4][1::2]", "[1, 2, 3][-1]", "[1, 2, 3][5]", "(1, 2, 3)[:2]", "'héllo'[1]",
    "'abc'[none:2]", "range(5)[2]", "range(2, 8, 3)", "range(3) | list", "{'a': 1}['a']", "{'a': 1}.a", "{'a': 1}.b",
    "{'a': 1}.get('b', 2)", "{'a': 1}.get('b')", "{'a': 1}.items()", "{'a': 1, 'b': 2}.keys() | list",
    "{'a': 1}.values() | list", "{1: 2, 1.0: 3, true: 4}", "{'a': {'b': [1]}}.a.b[0]", "not 1", "not not ''", "1 and 0 or 2",
    "1 if 0", "1 if 0 else 2", "(1 if 1 else 2) + 1", "'a' if nope else 'b'", "1, 2", "(1,)", "()", "[1, [2, (3,)]]",
    "x.y is defined", "nope is defined and nope.x", "nope.x", "nope['x']", "nope + 1", "-nope", "nope()", "nope | length",
    "1 is number and 'a' is string", "2 + 3 is number", "not 1 is odd", "1 is not odd", "[1, 2] is sequence",
    "'a' in 'abc' and 'a' not in ['b']", "1 in {1: 2}", "none in [none]", "5 in 'abc'", "[3, 1, 2] | sort | join(',')",
    "[{'a': 2}, {'a': 1}] | sort(attribute='a') | map(attribute='a') | list", "[{'a': 1}, {}] | map(attribute='a', default=0) | list",
    "[{'a': {'b': 1}}] | map(attribute='a.b') | list", "[{'a': 1}, {'a': 2}] | selectattr('a', 'gt', 1) | list",
    "[{'a': 1}, {'b': 2}] | selectattr('a') | list", "[{'a': 1}, {'b': 2}] | selectattr('a', 'defined') | list",
    "[{'a': 1}, {'b': 2}] | rejectattr('a', 'defined') | list", "[{'a': 'x'}, {'a': 'y'}] | selectattr('a', 'in', ['y']) | list",
    "[{'a': 1, 'b': 2}, {'a': 1, 'b': 3}] | sum(attribute='b')", "[{'a': 'X'}, {'a': 'x'}] | unique(attribute='a') | list",
    "[{'a': 1}, {'a': 2}] | map(attribute='a') | sum", "[{'a': 1}, {'a': 3}] | max(attribute='a')", "[[1, 2], [3]] | map('first') | list",
    "['a', 'b'] | map('replace', 'a', 'c') | join", "[1, 2, 3, 4] | select('even') | list", "[1, 2] | reject('equalto', 1) | list",
    "'abc' | first", "'abc' | last", "'abc' | reverse", "[1, 2] | last", "[] | first", "{'x': [1, 2.0, true, none]} | tojson",
    "'a\\u2028<>&\\'' | tojson", "[] | tojson(indent=2)", "{'a': [1, {'b': 2}]} | tojson(indent=4)", "'x' | tojson | length",
    "('a' | upper) ~ 'b' | lower", "-1 | abs", "(-1) | abs", "1.25 | round(1)", "1.35 | round(1)", "2.5 | round", "1234 | round(-2)",
    "3.7 | int", "'3.7' | int", "'x' | int(5)", "1e30 | int", "5 | float", "'1e3' | float", "true | int", "[1, 2] | length + 1",
    "5 | string | length", "'a-b c' | title", "'a\\nb' | indent(2)", "'<b>' | safe", "'x' is in(['x'])", "'%s' | format('a')",
    "loop is defined", "messages | length", "messages[0].role", "messages[0]['content']", "messages | tojson",
    "(messages | map(attribute='role') | list)[0]", "messages[::-1] | map(attribute='role') | join(',')", "messages[-1].content",
    "true and none", "True", "None", "none", "false", "1.0 == 1", "'1' == 1", "[1, 2] == [1, 2]", "[1] == (1,)", "'a' < 'b'",
    "[1, 2] < [1, 3]", "1 < 'a'", "'a' + 1", "'a' + none", "[1] + [2]", "[1] + (2,)", "'ß' | upper", "'x'.append", "[1].append(2)",
    "{'a': 1}.update({'b': 2})", "''.__class__", "dict(a=1)", "dict(a=1)['a']", "'a\\tb' | tojson", "'\\x41\\u00e9\\n' | length",
    "[1, 2, 3] | batch(2) | map('list') | list", "[1, 2, 3] | random", "'a b' | urlencode", "'<' | escape", "'<' | e", "[1, 2] | pprint",
    "['b', 'a'] | groupby(0) | list", "3 is divisibleby 2", "'ab' is eq 'ab'", "2 is eq 1 + 1", "1000000", "1.10", "100000000000000000000.0",
    "123456789.123456789", "0.00001", "3 * 1.1", "5 % 3.5", "-5 // 3.0", "2 ** 62", "2 ** 63", "9223372036854775807 + 1",
    "'a'.join([1])", "'a,b'.split(',')[1]", "'  x'.lstrip().upper()", "'key: v'.split(': ', 1)", "'a' ~ (1, 2)", "'a\\\\nb'", "'it''s'",
]
STATEMENTS = [
    "{% for g in [{'k': 'b', 'v': 1}, {'k': 'a', 'v': 2}, {'k': 'b', 'v': 3}] | groupby('k') %}{{ g.grouper }}:{{ g.list | "
    "map(attribute='v') | join(',') }};{% endfor %}",
    "{% for k, l in [{'k': 'B', 'v': 1}, {'k': 'b', 'v': 3}] | groupby('k') %}{{ k }}{{ l | length }}{% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last "
    "}}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}",
    "{% for i in 'abcd' %}{{ loop.cycle('x', 'y', 'z') }}{% endfor %}",
    "{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [] %}{{ i }}{% else %}none{% endfor %}", "{% for i in nope %}{{ i }}{% else %}none{% endfor %}",
    "{% for i in [1, 2, 3, 4] if i is even %}{{ i }}{{ loop.length }}{% endfor %}",
    "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for a in none %}{% endfor %}", "{% for a in 5 %}{% endfor %}",
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, l=[]) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.n "
    "}}{{ ns.l }}{{ ns.z }}", "{% set ns = {'a': 1} %}{% set ns.a = 2 %}",
    "{% set x %} a {{ 1 + 1 }} {% endset %}[{{ x }}]{{ x | length }}", "{% set x | trim | upper %} a {% endset %}[{{ x }}]",
    "{% set x = 1, 2 %}{{ x }}", "{% if true %}{% set y = 3 %}{% endif %}{{ y }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c=3) }}|{{ m() }}|{{ m(1, 2, 3) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{% endcall %}",
    "{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(i) m() %}x{{ i }}{% endcall %}",
    "{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
    "{% set v = 'out' %}{% macro m() %}{{ v }}{% endmacro %}{{ m() }}{% set v = 'new' %}{{ m() }}",
    "{% macro m() %}{% set z = 1 %}{% endmacro %}{{ m() }}{{ z }}", "{{ m }}{% macro m() %}{% endmacro %}",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aa{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}",
    "{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "{% if nope %}a{% else %}b{% endif %}", "{% if nope is not defined %}a{% endif %}",
    "{% for m in messages %}{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %}", "{{ raise_exception('stop') }}",
    "{% generation %}a{% endgeneration %}", "{% set x = [1, 2, 3] | map('string') %}{{ x | list }}{{ x | list }}",
    "{% set x = [1, 2] | select %}{% for i in x %}{{ i }}{% endfor %}{% for i in x %}{{ i }}{% endfor %}",
    "{%- for i in [1, 2] -%}\n {{ i }} \n{%- endfor -%}\n", "a {%- if true %} b {% endif -%} c", "  {% if true %}\n  x\n  {% endif %}\ny",
    "{{- 'a' -}}   b", "{# c #}\na", "{% raw %}{{ x }}{% endraw %}", "{%+ if true %}\nx{% endif %}", "{% if true +%}\nx{% endif %}",
    "{{ [1, 2] | nope }}", "{% if false %}{{ 1 | nope }}{% endif %}ok", "{% if false %}{{ 1 is nope }}{% endif %}ok",
    "{% for i in [1] %}{% for j in [2] %}{{ loop.index }}{{ i }}{{ j }}{% endfor %}{{ loop.index }}{% endfor %}{{ loop }}",
    "{% set a = 1 %}{% set b = a if a > 0 else none %}{{ b }}", "{{ (messages | first).content[:3] + '…' }}",
    "{% for i in range(3) %}{{ i }}{{ ', ' if not loop.last else '.' }}{% endfor %}", "{% set x = 'a' %}{% set x = x ~ 'b' %}{{ x }}",
    "{% for m in messages[1:] %}{{ loop.index0 + 1 }}{{ m['role'] | capitalize }}{% endfor %}", "{% for i in (1, 2) %}{{ i }}{% endfor %}",
    "{% for i in 1, 2 %}{{ i }}{% endfor %}", "{% for i in [1] recursive %}{{ i }}{% endfor %}", "{% do 1 %}", "{% include 'x' %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% for (a, b) in [(1, 2)] %}{{ a }}{% endfor %}",
]


def main():
    sources = ["{{ " + e + " }}" for e in NUMBERS] + STATEMENTS
    sources += ["{{ %s %s %s }}" % c for c in itertools.product(VALUES, OPERATORS, VALUES)]
    sources += ["{{ %s.%s }}" % c for c in itertools.product(TEXTS, METHODS)]
    sources += ["{{ %s | %s }}" % c for c in itertools.product(FILTERED, FILTERS)]
    sources += ["{{ %s is %s }}" % c for c in itertools.product(VALUES + ["'AB'", "range", "messages[0]"], TESTS)]
    messages = [{"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": "Lo"}]
    cases = []
    for source in sources:
        try:
            text = _compile_jinja_template(source).render(messages=messages, tools=None, documents=None)
            if " at 0x" in text:
                continue  # the address of an object
            cases.append({"source": source, "text": text})
        except Exception as e:
            cases.append({"source": source, "error": type(e).__name__})
    # Cases with the same operation on other values are left out where they are errors of Python.
    fixture = {"transformers": transformers.__version__, "jinja2": jinja2.__version__, "messages": messages, "cases": cases}
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    head = json.dumps({k: v for k, v in fixture.items() if k != "cases"}, ensure_ascii=False)
    OUT.write_text(head[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    print(OUT, OUT.stat().st_size, len(cases))


if __name__ == "__main__":
    main()
