"""Plain characters for report text, one for one: a position in the result is a position in the original."""

from __future__ import annotations

import re

_SPACES = "\t\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES += "\u2028\u2029\u202f\u205f\u3000\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\x00"
_ODD = {
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    **dict.fromkeys("\u25aa\u25ab\u25cf\u25cb\u25e6\u2023\u2043\u2219\u25a0\u25b6\u27a2\uf0b7", "\u2022"),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    "\u00d7": "x",
    "\u2044": "/",
    "\u3002": ".",
    "\u3001": ",",
}
_TIDY = str.maketrans(_ODD)
_ASCII_ODD = re.compile(r"[\x00\t\v\f\x1c-\x1f\r]")


def tidy(text: str) -> str:
    r"""Return `text` in plain characters, of the same length, so that a position in one is a position in the other.

    Line ends become a line feed (Windows' a space and a line feed), odd and invisible spaces a space, curly quotes, odd
    dashes and full-width letters their ASCII forms, and list dots a bullet. A character without a single plain
    equivalent (a ligature, a fraction) stays.

    Example:
        >>> tidy("Heart\u00a0size\u2014normal.\r\nLungs \u201cclear\u201d.")
        'Heart size-normal. \nLungs "clear".'
    """
    if text.isascii() and not _ASCII_ODD.search(text):
        return text
    return text.replace("\r\n", " \n").replace("\r", "\n").translate(_TIDY)


def lower(text: str) -> str:
    """Return `text` in lower case with the same length: a letter that would grow (dotted I) stays.

    Example:
        >>> lower("\u0130 Heart")
        '\u0130 heart'
    """
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)
