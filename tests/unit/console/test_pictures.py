"""The pictures of the documentation are those that `make pictures` takes."""

from __future__ import annotations

from tests.pictures.__main__ import FOLDER, KEPT


def test_the_folder_has_the_pictures_taken_and_no_others() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {picture.file for picture in KEPT}
