"""Tokenization: text to token ids by a checkpoint's own tokenizer."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from golden.bert.weights import model_folder, read_config

__all__ = ["Tokenizer", "Tokens"]


class Tokens(NamedTuple):
    """Token ids of a text, and for each token its sentence of a pair (0 or 1)."""

    ids: tuple[int, ...]
    kinds: tuple[int, ...]


class Tokenizer:
    """WordPiece tokenizer from tokenizer.json in `folder`, by default the packaged model's.

    Texts are not padded. A text of more than `max_tokens` tokens, including [CLS] and [SEP], is cut
    with a warning. Raises FileNotFoundError for a missing file, ValueError for a file that is not a
    tokenizer and for max_tokens below 3.
    """

    def __init__(self, folder: Path | None = None, max_tokens: int | None = None) -> None:
        from tokenizers import Tokenizer as Implementation

        folder = model_folder() if folder is None else folder
        path = folder / "tokenizer.json"
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        self._max_tokens = read_config(folder).max_tokens if max_tokens is None else max_tokens
        if self._max_tokens < 3:
            raise ValueError(f"max_tokens: expected 3 or more, got {self._max_tokens!r}")
        try:
            self._implementation: Any = Implementation.from_file(str(path))
        except Exception as error:  # the package raises bare Exceptions
            raise ValueError(f"{path}: not a tokenizer ({error})") from None
        # The file's settings would pad to a fixed length and cut below the model's limit.
        self._implementation.no_padding()
        self._implementation.no_truncation()
        self._implementation.enable_truncation(self._max_tokens)

    @property
    def max_tokens(self) -> int:
        """Largest number of ids per text."""
        return self._max_tokens

    def encode(self, text: str) -> list[int]:
        """Ids of one text, including [CLS] and [SEP].

        Raises ValueError for an empty text; warns if the text is cut.
        """
        return list(self.read(text).ids)

    def read(self, text: str, second: str | None = None) -> Tokens:
        """Tokens of a text, or of a pair as [CLS] first [SEP] second [SEP].

        A pair that is too long loses tokens of its longer sentence. Errors as `encode`.
        """
        for part in (text,) if second is None else (text, second):
            if not part.strip():
                raise ValueError(f"text: expected at least one word, got {part!r}")
        encoding = self._implementation.encode(text, second)
        if encoding.overflowing:
            warnings.warn(f"text cut to {self._max_tokens} tokens: {text[:40]!r}...", stacklevel=3)
        return Tokens(tuple(encoding.ids), tuple(encoding.type_ids))

    def encode_all(self, texts: Iterable[str]) -> list[list[int]]:
        """Ids of each text, in order; errors as `encode`."""
        return [self.encode(text) for text in texts]

    def tokens(self, text: str) -> list[str]:
        """Word pieces of a text, one for each id that `encode` returns."""
        return [self._implementation.id_to_token(index) for index in self.encode(text)]
