"""Small documents made for tests."""

import io
import zipfile
import zlib

ARTICLE = """<!doctype html><html><head><title>Harvest moon</title></head><body>
<nav><a href="/menu">Menu entry</a></nav><article><h1>Harvest moon</h1>
<p>The full moon nearest the autumn equinox rises soon after sunset for several evenings.</p>
<p>Farmers used its <b>light</b> to work late, and so <a href="/name">the name</a> was given.</p>
<table><tr><th>Year</th><th>Date</th></tr><tr><td>2026</td><td>26 September</td></tr></table>
<script>alert("never shown")</script>
</article></body></html>"""


def make_pdf(*pages: str, filters: bool = True) -> bytes:
    """Return a PDF with one line of text a page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for i, text in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(_stream(f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode(), filters=filters))
    return _assemble(objects)


def make_pdf_bomb(megabytes: int) -> bytes:
    """Return a small PDF whose one page inflates to many megabytes of drawing commands."""
    squeeze = zlib.compressobj(9)
    line = b"BT /F1 9 Tf (x) Tj ET\n" * 50_000
    data = b"".join(squeeze.compress(line) for _ in range(megabytes)) + squeeze.flush()
    head = f"<< /Length {len(data)} /Filter /FlateDecode >>\nstream\n".encode()
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        head + data + b"\nendstream",
    ]
    return _assemble(objects)


def _stream(data: bytes, *, filters: bool) -> bytes:
    packed = zlib.compress(data) if filters else data
    how = " /Filter /FlateDecode" if filters else ""
    return f"<< /Length {len(packed)}{how} >>\nstream\n".encode() + packed + b"\nendstream"


def _assemble(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    at = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for offset in offsets:
        out += f"{offset:010} 00000 n \n".encode()
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n".encode()
    return bytes(out)


def make_docx(*paragraphs: str, title: str = "", extra: str = "") -> bytes:
    """Return a Word document; a paragraph that starts with `# ` is a heading, `\\f` ends a page."""
    body = "".join(_paragraph(text) for text in paragraphs)
    document = f'{_XML}<w:document xmlns:w="{_WORD}"><w:body>{body}{extra}</w:body></w:document>'
    core = f'{_XML}<c:coreProperties xmlns:c="urn:c" xmlns:dc="{_DC}"><dc:title>{title}</dc:title>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", document)
        if title:
            archive.writestr("docProps/core.xml", f"{core}</c:coreProperties>")
    return out.getvalue()


def make_zip_bomb(megabytes: int, opening: str = "") -> bytes:
    """Return a small DOCX whose text inflates to many megabytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w", force_zip64=True) as part,
    ):
        part.write(f'{_XML}{opening}<w:document xmlns:w="{_WORD}"><w:body>'.encode())
        for _ in range(megabytes):
            part.write(b"<w:p><w:r><w:t>aaaaaaaa</w:t></w:r></w:p>" * 26_000)
        part.write(b"</w:body></w:document>")
    return out.getvalue()


_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DC = "http://purl.org/dc/elements/1.1/"


def _paragraph(text: str) -> str:
    heading = text.startswith("# ")
    style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>' if heading else ""
    parts = text.removeprefix("# ").split("\f")
    runs = '<w:r><w:br w:type="page"/></w:r>'.join(f"<w:r><w:t>{p}</w:t></w:r>" for p in parts)
    return f"<w:p>{style}{runs}</w:p>"
