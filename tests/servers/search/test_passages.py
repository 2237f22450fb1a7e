import io
import zipfile

import pytest

from servers.search.passages import LONGEST, extract_passages, split_text
from tests.fakes.documents import make_docx, make_pdf


def places(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(row["text"], row["unit"], row["first"], row["last"]) for row in rows]


def test_a_text_is_cut_at_headings_and_its_passages_know_their_lines():
    rows = split_text("# Tea\n\nIt grows in Assam.\n\n# Coffee\nIt grows in Peru.\n", 1000)

    assert places(rows) == [
        ("# Tea\n\nIt grows in Assam.", "line", 1, 3),
        ("# Coffee\nIt grows in Peru.", "line", 5, 6),
    ]


def test_no_passage_is_longer_than_its_limit_and_no_word_is_lost():
    words = [f"word{n}" for n in range(3000)]
    for text in (" ".join(words), "\n".join(words), "\n\n".join(words), "x".join(words)):
        rows = split_text(text, 10**6)
        assert max(len(row["text"]) for row in rows) <= LONGEST
        joined = "".join("".join(row["text"].split()) for row in rows)
        assert joined == "".join(text.split())


def test_a_long_text_ends_at_the_limit():
    rows = split_text("line of text\n" * 1000, 100)
    assert sum(len(row["text"]) for row in rows) <= 100


def test_text_without_letters_has_no_passages():
    assert split_text("\n \n\t\n", 100) == []


def test_html_gives_what_is_shown_with_the_lines_of_its_source():
    page = (
        "<html><head><title>A  page</title><style>p {}</style></head>\n<body>\n"
        "<h1>Moon</h1>\n<p>It is\nfull.</p><script>alert(1)</script>\n"
        "<ul><li>One &amp; two</li></ul></body></html>"
    )
    found = extract_passages(page.encode(), "html", 1000)

    assert found["title"] == "A page"
    assert places(found["passages"]) == [("# Moon\nIt is full.\nOne & two", "line", 3, 6)]


def test_broken_html_still_gives_its_text():
    found = extract_passages(b"<head><title>x<body><p>Kept <b>text</p></div></script>", "html", 100)
    assert "Kept text" in found["passages"][0]["text"]


def test_a_pdf_gives_its_pages():
    found = extract_passages(make_pdf("First page", "Second page"), "pdf", 1000)
    assert places(found["passages"]) == [
        ("First page", "page", 1, 1),
        ("Second page", "page", 2, 2),
    ]


def test_a_word_document_gives_pages_where_it_tells_them_and_paragraphs_else():
    plain = extract_passages(make_docx("# Plan", "Step one.", title="The plan"), "docx", 1000)
    paged = extract_passages(make_docx("One.\fTwo.", "Three."), "docx", 1000)

    assert plain["title"] == "The plan"
    assert places(plain["passages"]) == [("# Plan\nStep one.", "paragraph", 1, 2)]
    assert places(paged["passages"]) == [("One.Two.\nThree.", "page", 1, 2)]


def test_a_zip_without_a_document_is_said():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("other.xml", "<a/>")
    assert "without a Word document" in extract_passages(out.getvalue(), "docx", 100)["error"]


def test_a_document_that_defines_entities_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        text = '<!DOCTYPE a [<!ENTITY b "lol">]><a>&b;</a>'
        archive.writestr("word/document.xml", text)
    with pytest.raises(ValueError, match="defines entities"):
        extract_passages(out.getvalue(), "docx", 100)
