"""FP32 models as folders: config.json and model.safetensors, readable by golden, with a head."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertModel
from transformers.utils import logging

from golden.bert.head import Head
from golden.bert.weights import model_folder, read_weights
from golden.tasks.glue import SIMILARITY
from train.objectives import Objective, objective_of

__all__ = ["WEIGHTS", "fault", "load", "read_head", "save"]

WEIGHTS = "model.safetensors"
_HEAD = "head."


def load(task: str, folder: Path | None = None) -> Objective:
    """Load a task's model from a folder that `save` wrote.

    Without a folder it is the packaged BERT with a head of zeros. Raises FileNotFoundError for a
    missing file.
    """
    source = model_folder() if folder is None else folder
    # transformers warns of the missing pooler, which is not used here.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        bert = BertModel.from_pretrained(
            str(source), add_pooling_layer=False, local_files_only=True
        )
    finally:
        logging.set_verbosity(verbosity)
    for embedding in (each for each in bert.embeddings.modules() if isinstance(each, nn.Embedding)):
        # Frozen: checkpoints of quantized models take the tables from the packaged model.
        embedding.weight.requires_grad_(False)
    objective = objective_of(task, bert)
    if objective.head is not None:
        nn.init.zeros_(objective.head.weight)
        nn.init.zeros_(objective.head.bias)
        if folder is not None:
            state = load_file(source / WEIGHTS)
            objective.head.load_state_dict(
                {
                    name.removeprefix(_HEAD): tensor
                    for name, tensor in state.items()
                    if name.startswith(_HEAD)
                }
            )
    return objective


def save(objective: Objective, folder: Path) -> None:
    """Write a model folder atomically, replacing an existing one."""
    state = {
        name: tensor.contiguous().cpu() for name, tensor in objective.bert.state_dict().items()
    }
    if objective.head is not None:
        state |= {
            _HEAD + name: tensor.contiguous().cpu()
            for name, tensor in objective.head.state_dict().items()
        }
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        save_file(state, scratch / WEIGHTS)
        for name in ("config.json", "sentence_bert_config.json"):
            shutil.copy(model_folder() / name, scratch / name)
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fault(task: str, folder: Path) -> str | None:
    """Description of what is wrong with a model folder, or None."""
    try:
        read_weights(folder)
        if task != SIMILARITY:
            read_head(task, folder)
    except (SafetensorError, OSError, ValueError) as error:
        return str(error)
    return None


def read_head(task: str, folder: Path) -> Head:
    """Head of a folder's model, for golden."""
    with safe_open(folder / WEIGHTS, "np") as file:
        weight, bias = file.get_tensor(f"{_HEAD}weight"), file.get_tensor(f"{_HEAD}bias")
    return Head(task, np.ascontiguousarray(weight.T), bias)
