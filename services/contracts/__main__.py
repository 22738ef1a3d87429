"""``python -m services.contracts``: write the contracts, unless they would break consumers."""

from __future__ import annotations

import sys

from services.contracts.compatibility import breaking_documents
from services.contracts.documents import CONTRACTS, documents, text_of, written_documents
from services.contracts.reference import write_pages


def main(arguments: list[str]) -> int:
    """Write every document; with ``--break``, even if existing consumers break."""
    found = documents()
    broken = breaking_documents(written_documents(), found)
    if broken and "--break" not in arguments:
        print("not written, as it breaks readers; make a new version of the type instead:", file=sys.stderr)
        print("\n".join(broken), file=sys.stderr)
        return 1
    for name, document in found.items():
        file = CONTRACTS / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(document))
    pages = write_pages()
    print(f"wrote {len(found)} documents and {len(pages)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
