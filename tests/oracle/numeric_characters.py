#!/usr/bin/env python3
"""Prints the rows of the tables in tasks/numeric_characters.c: characters that str.isdigit knows beside decimal digits (category
Nd), and those that str.isnumeric knows beside Unicode's numbers (Nd, Nl, No), as ranges."""
import sys
import unicodedata


def rows(name, holds):
    codes = [code for code in range(sys.maxunicode + 1) if holds(chr(code), unicodedata.category(chr(code)))]
    print(f"{name}:")
    first = last = None
    for code in codes + [None]:
        if first is not None and code != last + 1:
            print(f"    {{0x{first:04X}, 0x{last:04X}}},")
            first = None
        first, last = code if first is None else first, code


rows("digits", lambda char, category: char.isdigit() and category != "Nd")
rows("numbers", lambda char, category: char.isnumeric() and category not in ("Nd", "Nl", "No"))
