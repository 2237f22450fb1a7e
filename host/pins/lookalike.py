"""Names that look like another name: mixed scripts, look-alike letters, digits for letters."""

import re
import unicodedata

from host.pins.hidden import strip_hidden

_LETTERS = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u0184\u042c",
    "c": "\u0441\u03f2\u1d04",
    "d": "\u0501",
    "e": "\u0435\u04bd\u212e",
    "f": "\u0192\u03dd",
    "g": "\u0261\u018d",
    "h": "\u04bb\u0570",
    "i": "\u0456\u03b9\u0131\u0269",
    "j": "\u0458\u03f3",
    "k": "\u03ba\u043a",
    "l": "\u04cf\u01c0\u05c0",
    "m": "\u043c",
    "n": "\u0578\u057c",
    "o": "\u043e\u03bf\u0585\u0966\u06f0",
    "p": "\u0440\u03c1",
    "q": "\u051b\u0566",
    "r": "\u0433\u1d26",
    "s": "\u0455\ua731",
    "t": "\u0442\u03c4",
    "u": "\u03c5\u057d\u028b",
    "v": "\u03bd\u0475",
    "w": "\u051d\u0461\u026f",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af\u03b3",
    "z": "\u1d22\u0290",
    "A": "\u0410\u0391",
    "B": "\u0412\u0392",
    "C": "\u0421\u03f9",
    "E": "\u0415\u0395",
    "H": "\u041d\u0397",
    "I": "\u0406\u0399\u04c0",
    "K": "\u041a\u039a",
    "M": "\u041c\u039c",
    "N": "\u039d",
    "O": "\u041e\u039f",
    "P": "\u0420\u03a1",
    "S": "\u0405",
    "T": "\u0422\u03a4",
    "X": "\u0425\u03a7",
    "Y": "\u03a5\u04ae",
    "Z": "\u0396",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
    "_": "\u02cd\uff3f",
    ".": "\u2024",
    "/": "\u2044\u2215",
}
"""Latin letter → letters of other scripts that look like it, after Unicode's own list (UTS 39)."""

_FOLD = {ord(other): latin for latin, others in _LETTERS.items() for other in others}
_SHAPES = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"))
_JOINTS = re.compile(r"[-_. /]+")


def fold_letters(text: str) -> str:
    """Return a text with look-alike letters and compatibility forms as plain Latin ones."""
    return unicodedata.normalize("NFKC", text).translate(_FOLD)


def skeleton(name: str) -> str:
    """Return what two names have in common that a person may take for each other.

    Capitals, the characters between words and those without a glyph do not count.
    """
    folded = _JOINTS.sub("", fold_letters(strip_hidden(name)).casefold())
    for shape, plain in _SHAPES:
        folded = folded.replace(shape, plain)
    return folded


def words_of(name: str) -> str:
    """Return a name without capitals and joints: two spellings of it are the same name."""
    return _JOINTS.sub("", name.casefold())


def mixed_scripts(name: str) -> str | None:
    """Return what is odd about a name's letters; None if nothing is.

    A name wholly in one script is fine, even where Latin letters join it as whole words.
    """
    for word in _JOINTS.split(name):
        scripts = {_script(letter) for letter in word if letter.isalpha()} - {None}
        if len(scripts) > 1 and scripts & {"LATIN"} and scripts & {"CYRILLIC", "GREEK", "ARMENIAN"}:
            return f"mixes {' and '.join(sorted(map(str, scripts)))} letters"
        if word and not word.isascii() and fold_letters(word).isascii():
            return "is written in letters that look like Latin ones"
    return None


def _script(letter: str) -> str | None:
    return unicodedata.name(letter, "").partition(" ")[0] or None
