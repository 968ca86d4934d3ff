#!/usr/bin/env python3
"""Prints the rows of the table in tasks/special_casing.c: characters whose upper or title case is several characters
(Unicode's SpecialCasing.txt), as Python maps them."""
import sys


def literal(text):
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


for code in range(sys.maxunicode + 1):
    char = chr(code)
    upper, title = char.upper(), char.capitalize()
    if len(upper) > 1 or len(title) > 1:
        print(f"    {{0x{code:04X}, {literal(upper)}, {literal(title)}}},")
