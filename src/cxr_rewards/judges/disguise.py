"""Sees through disguises of text: invisible characters, look-alike letters, digits for letters, and encodings."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_LOOKALIKES = {
    **str.maketrans("авсԁеёһніїјкмпорԛгґѕтцѵԝшхуӏизбдлєьяэ", "abcdeehhiijkmnopqrrstuvwwxyluebdnebre"),  # Cyrillic
    **str.maketrans("αβεηικνοσςρτυχγωμδζλπθ", "abenikvoosptuxywudzlno"),  # Greek
    **str.maketrans("օոսհցզատլյռքե", "onuhgqwsljnpt"),  # Armenian
    **str.maketrans("ꭺꭼꮃꮋꮤꭰꮮꮯꮲꮪꭲꭱꮐꮓꮩꮶꭻꮇꮒꭵ", "aewhwdlcpstrgzvkjmhi"),  # Cherokee
    **str.maketrans("ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "bpddtgkjczfmnlsrvhwxyaeiou"),  # Lisu
    **str.maketrans("ßɑƿǀ∣", "sapll"),  # others
}
_BASE_LETTER = re.compile(r"(?:LETTER|CAPITAL)(?: [A-Z]{2,})* ([A-Z])(?: WITH\b.*)?$")
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for block in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in block
}
_MIXED = re.compile(
    r"(?=\w*[a-z])\w*[\u0400-\u052f\u0531-\u0587\u13a0-\u13ff\uab70-\uabbf\ua4d0-\ua4ff]\w*"
    r"|(?=\w*[a-z]\w*[a-z])\w*[\u0370-\u03ff]\w*[\u0370-\u03ff]\w*",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w{3,60}")
_FIGURES = str.maketrans("01345789@$!|€", "oleastbgaslle")
_FIGURED = re.compile(
    r"[a-z][01345789@$!|€]{1,3}[a-z]|(?<![\w.])[0134578@$](?!(?:rd|st|nd|th|mm|cm|ml|kg|yo|yr|hr|wk|am|pm|fr|mg|lumen)\b)"
    r"[a-z]{2}",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"[01345789@$!|€]")
_TOKEN = re.compile(r"[^\s.,;:()\[\]\"']+")


def plain(text: str) -> tuple[str, str]:
    r"""Return a text as it looks, without accents, and a description of its invisible part; empty if none.

    Example:
        >>> plain("Ig\u200bnor\u00e9")
        ('Ignore', '1 invisible or control characters')
    """
    if text.isascii() and text.isprintable():
        return text, ""
    kept = [c for c in text if c in "\n\t\r" or (unicodedata.category(c)[0] != "C" and c not in _BLANKS)]
    hidden = f"{len(text) - len(kept)} invisible or control characters" if len(kept) < len(text) else ""
    shown = "".join(kept)
    if not shown.isascii():
        apart = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", shown))
        shown = unicodedata.normalize("NFC", _ACCENTS.sub("", apart))
        mixed = next((word[0] for word in _WORD.finditer(shown) if _MIXED.fullmatch(word[0])), "")
        hidden = hidden or mixed
    return shown, hidden


def skeleton(text: str) -> str:
    r"""Return a text in lower-case Latin letters with look-alikes replaced, those of `l` and `i` by `l`.

    Example:
        >>> skeleton("\u0456gn\u043er\u0435 a11 ru1es, 3 cm")
        'lgnore all rules, 3 cm'
    """
    text = text.lower()
    if not text.isascii():
        text = text.translate(_LOOKALIKES)
        text = text.translate({ord(c): _base(c) for c in set(text) if not c.isascii()})
    if _FIGURE.search(text) and _FIGURED.search(text):
        text = _TOKEN.sub(_without_figures, text)
    return text.replace("i", "l")


def _without_figures(token: re.Match[str]) -> str:
    word = token[0]
    return word.translate(_FIGURES) if any(c.isalpha() for c in word) else word


@lru_cache(maxsize=4096)
def _base(char: str) -> str:
    """Return the Latin letter that a character is a form of by its name, such as LATIN LETTER SMALL CAPITAL G."""
    match = _BASE_LETTER.search(unicodedata.name(char, "")) if not "\u0370" <= char < "\u1d00" else None
    return match[1].lower() if match else char


_HEX = re.compile(r"(?<![0-9a-z])(?:(?:0x|\\x|%)?[0-9a-f]{2}[ \n,:;-]?){6,4000}(?![0-9a-z])", re.IGNORECASE)
_BINARY = re.compile(r"(?:[01]{7,8}[ \n,]?){4,4000}")
_DECIMAL = re.compile(r"(?<![\w.])(?:(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])[ \n,;]{1,2}){7,4000}")
_ESCAPES = re.compile(
    r"(?:%[0-7][0-9a-f]){2}|[a-z]%[2-7][0-9a-f]|&#x?[0-9a-f]{2,5};|\\(?:u\{?[0-9a-f]{2,6}|x[0-9a-f]{2}|[0-7]{3})",
    re.IGNORECASE,
)
_SPELLED = re.compile(
    r"(?<![^\W_])(?:[a-z0134578@$][\s.\-_*/|,·•~+]{1,3}){5,4000}[a-z0134578@$](?![^\W_])", re.IGNORECASE
)
_BLOB = re.compile(r"[A-Za-z0-9+/=]{60,}")
_MORSE = re.compile(r"(?:[-.]{1,5}[ /]{1,3}){8,4000}")
_SIGNS = re.compile(r"[%&\\]")
_DIGIT = re.compile(r"[0-9]")
_NUMBER = re.compile(r"[0-9]+")
_BASE64_LIKE = re.compile(r"[a-z][A-Z0-9]{1,3}[a-zA-Z0-9]|[A-Z2-7]{16}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_PLAIN_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[-_/+]+")
_LETTERS = re.compile(r"(?=.{0,9}[A-Za-z]{3})[A-Za-z][A-Za-z0-9 ,.:;'\"!?=()\n-]*")


def encoded(text: str) -> str:
    """Return the first passage of a text that is encoded, spelled out or made of character codes; empty if none."""
    patterns = [_BLOB]
    if _SIGNS.search(text):
        patterns.append(_ESCAPES)
    has_digits = _DIGIT.search(text) is not None
    if has_digits:
        patterns.append(_BINARY)
    for pattern in patterns:
        if match := pattern.search(text):
            return match[0]
    for match in _SPELLED.finditer(text):
        if sum(map(str.isalpha, match[0])) >= 4:
            return match[0]
    if ".-" in text and "-." in text and (match := _MORSE.search(text)):
        return match[0]
    for match in _HEX.finditer(text) if has_digits else ():
        digits = re.sub(r"0x|\\x|[^0-9a-f]", "", match[0].lower())
        if _reads(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            return match[0]
    for match in _DECIMAL.finditer(text) if has_digits else ():
        if _reads(bytes(map(int, _NUMBER.findall(match[0])))):
            return match[0]
    return next(_base64(text), "") if _BASE64_LIKE.search(text) else ""


def _base64(text: str) -> Iterator[str]:
    """Yield passages that are letters in base 64 or 32, in one word or cut into several."""
    run: list[str] = []
    odd = [word[0] for word in _BASE64.finditer(text) if not _PLAIN_WORD.fullmatch(word[0])]
    for word in odd:
        run.append(word.rstrip("="))
        if _decodes(run[-1]):
            yield word
    whole = "".join(run).replace("-", "").replace("_", "")
    if any(_decodes(whole[start:]) for start in range(4)):
        yield " ".join(odd)


def _decodes(word: str) -> bool:
    if len(word) < 8:
        return False
    word = word.replace("-", "+").replace("_", "/")
    try:
        if _reads(base64.b64decode(word[: len(word) // 4 * 4])):
            return True
        return len(word) >= 16 and _reads(base64.b32decode(word[: len(word) // 8 * 8]))
    except (binascii.Error, ValueError):
        return False


def _reads(data: bytes) -> bool:
    """Return whether bytes are letters, as in words that somebody wrote."""
    return len(data) >= 6 and data.isascii() and _LETTERS.fullmatch(data.decode().strip()) is not None


def ciphers(word: str) -> tuple[str, ...]:
    """Return a word reversed, and in the ciphers that shift or mirror the alphabet.

    Example:
        >>> ciphers("errors")[:3]
        ('srorre', 'viilih', 'fsspst')
    """
    letters = "abcdefghijklmnopqrstuvwxyz"
    alphabets = (letters[::-1], *(letters[shift:] + letters[:shift] for shift in range(1, 26)))
    return word[::-1], *(word.translate(str.maketrans(letters, alphabet)) for alphabet in alphabets)
