"""Names that strangers gave, made safe."""

import pytest

from lib.gathering.names import folded, free_name, offered_name, safe_name


@pytest.mark.parametrize("offered, name", [
    ("a.png", "a.jpg"), ("a", "a.jpg"), ("a.b.c", "a.b.c.jpg"), ("v1.2", "v1.2.jpg"), ("a.JPEG", "a.jpg"), ("a.png.exe", "a.png.exe.jpg"),
    ("../../a", "a.jpg"), ("..\\..\\a", "a.jpg"), ("/etc/passwd", "passwd.jpg"), ("C:\\a", "a.jpg"), ("C:a", "C_a.jpg"),
    ("", "file.jpg"), (".", "file.jpg"), ("..", "file.jpg"), ("a/..", "file.jpg"), (" . . ", "file.jpg"), (".png", "file.jpg"),
    (".bashrc", "bashrc.jpg"), ("-rf", "rf.jpg"), ("a. ", "a.jpg"), ("a\0b\n\x7f.png", "ab.jpg"), ("a\u2028b", "a b.jpg"),
    ("\u202egnp.exe", "gnp.exe.jpg"), ("\udcff", "file.jpg"), ('a<b>:"|?*', "a_b______.jpg"), ("a~$`'&;b", "a~$`'&;b.jpg"),
    ("con", "_con.jpg"), ("NUL.txt", "_NUL.txt.jpg"), ("com1.png", "_com1.jpg"), ("lpt³", "_lpt³.jpg"), ("console", "console.jpg"),
    ("con .png", "_con.jpg"), ("gru\u0308n", "gr\u00fcn.jpg"), ("日本.png", "日本.jpg"), ("😀", "😀.jpg"),
])
def test_safe_name(offered, name):
    assert safe_name(offered, ".jpg") == name


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_long_names_are_cut_between_letters(letter):
    name = safe_name(letter * 300, ".webm")
    assert len(name.encode()) <= 150 - len("-9999") and name == letter * (len(name) - 5) + ".webm" and len(name.encode()) > 130


@pytest.mark.parametrize("address, disposition, name", [
    ("http://x.org/a/b.png", None, "b.png"), ("http://x.org/a/b.png?c=/d#e", None, "b.png"), ("http://x.org/", None, "x.org"),
    ("http://x.org", None, "x.org"), ("http://x.org/%2e%2e%2fb", None, "../b"), ("http://x.org/a%20b.png", None, "a b.png"),
    ("http://x.org/b", "inline", "b"), ("http://x.org/b", 'attachment; filename="a b; c.png"', "a b; c.png"),
    ("http://x.org/b", "attachment; filename=a.png; size=3", "a.png"), ("http://x.org/b", r'attachment; filename="a\"b.png"', 'a"b.png'),
    ("http://x.org/b", "attachment; filename=a.png; filename*=UTF-8''%e2%82%ac.png", "€.png"),
    ("http://x.org/b", "attachment; filename*=iso-8859-1'en'%a3.png", "£.png"),
    ("http://x.org/b", "attachment; FileName = a.png", "a.png"),
    ("http://x.org/b", "attachment; filename*=no-such-code''%a3.png; filename=a.png", "a.png"),
    ("http://x.org/b", 'attachment; filename="€.png"'.encode().decode("latin-1"), "€.png"), ("http://x.org/b", "filename=", "b"),
    ("http://x.org/b", 'attachment; filename="unclosed.png', '"unclosed.png'),
])
def test_offered_name(address, disposition, name):
    assert offered_name(address, disposition) == name


def test_free_names_differ_on_every_file_system():
    taken = {folded(name) for name in ("A.jpg", "a-2.JPG", "gru\u0308n.png", "Straße.png")}
    assert free_name("a.jpg", taken) == "a-3.jpg"
    assert free_name("GR\u00dcN.png", taken) == "GR\u00dcN-2.png"
    assert free_name("STRASSE.png", taken) == "STRASSE-2.png"
    assert free_name("b.jpg", taken) == "b.jpg"
