"""Text to token ids, by the tokenizer that a checkpoint brings."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from golden.bert.weights import model_folder, read_config

__all__ = ["Tokenizer", "Tokens"]


class Tokens(NamedTuple):
    """A text as a BERT reads it: token ids, and for each the sentence of a pair that it is of (0 or 1)."""

    ids: tuple[int, ...]
    kinds: tuple[int, ...]


class Tokenizer:
    """WordPiece tokenizer of the BERT in `folder` (tokenizer.json), by default of the packaged model.

    Nothing is padded. A text of more than `max_tokens` tokens, [CLS] and [SEP] among them, is cut
    there and warned of. Raises FileNotFoundError for a missing file, ValueError for one that holds
    no tokenizer.
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
        except Exception as error:  # the package raises Exception itself
            raise ValueError(f"{path}: not a tokenizer ({error})") from None
        # The file's own settings pad to a fixed length and cut below what the model reads.
        self._implementation.no_padding()
        self._implementation.no_truncation()
        self._implementation.enable_truncation(self._max_tokens)

    @property
    def max_tokens(self) -> int:
        """Most ids that one text gives."""
        return self._max_tokens

    def encode(self, text: str) -> list[int]:
        """Ids of one text, with [CLS] and [SEP].

        Raises ValueError for an empty text, warns when it cuts.
        """
        return list(self.read(text).ids)

    def read(self, text: str, second: str | None = None) -> Tokens:
        """One text or a pair as one, [CLS] first [SEP] second [SEP]; a pair is cut where it is longer.

        Errors as `encode`.
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
        """The word pieces that `encode`'s ids stand for."""
        return [self._implementation.id_to_token(index) for index in self.encode(text)]
