"""The peers of a language model: one class per library, all with the same calls. Nothing is timed here.

load() reads the weights. prefill(ids) takes a prompt from nothing and gives the logits behind its last token.
prepare(ids, n) gives that prompt to n sequences, each with keys and values of its own. step(token) gives the
token to each of the n and returns their logits in the peer's own form; rewind() takes it back, so that every
step has the same work. unload() frees everything. as_numpy makes f32 [n,V] of logits.
"""

import ctypes
import gc
import json
import warnings

import numpy as np
import torch

from implementations import TorchPeer

CONTEXT, SEQUENCES = 641, 8  # the most that is ever asked for


class Model:
    """Where the same weights lie in the forms that the peers read."""

    def __init__(self, folder, gguf, cache):
        self.folder, self.gguf, self.cache = folder, gguf, cache
        self.config = json.loads((folder / "config.json").read_text())
        self.layers = self.config["num_hidden_layers"]

    def stale(self, path):
        return not path.exists() or path.stat().st_mtime < (self.folder / "model.safetensors").stat().st_mtime


def causal_model(folder, dtype, attention="sdpa"):
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention).eval()


# ---- transformers ----


class Transformers(TorchPeer):
    """transformers' model with sdpa, the cache growing (DynamicCache) or in place (StaticCache)."""

    decodes = True

    def __init__(self, cache, mode, compiled=False):
        super().__init__(mode)
        self.kind, self.compiled = cache, compiled
        self.name = f"transformers, {cache} cache" + (", compiled" if compiled else "")

    def load(self, model):
        warnings.filterwarnings("ignore", category=FutureWarning)  # a keyword's new name in transformers 5.24
        self.model = causal_model(model.folder, self.dtype)
        self.forward = self.model.forward
        if self.compiled:
            self.forward = torch.compile(self.model.forward, dynamic=False)

    def new_cache(self):
        from transformers import DynamicCache, StaticCache

        if self.kind == "dynamic":
            return DynamicCache(config=self.model.config)
        return StaticCache(config=self.model.config, max_cache_len=self.length)

    def run(self, tokens, cache, start):
        at = torch.arange(start, start + tokens.shape[1])[None]
        with self.context():
            out = self.forward(
                input_ids=tokens, past_key_values=cache, position_ids=at, use_cache=True, logits_to_keep=1
            )
        return out.logits[:, -1]

    def prefill(self, ids):
        self.length = len(ids) + 1  # as prepare() has it: one graph less to compile
        return self.run(torch.tensor([ids]), self.new_cache(), 0)

    def prepare(self, ids, sequences):
        self.length, self.sequences, self.start = len(ids) + 1, sequences, len(ids)
        first = self.new_cache()
        self.run(torch.tensor([ids]), first, 0)
        if sequences == 1:
            self.cache = first
            return
        self.cache = self.new_cache()
        for index, layer in enumerate(first.layers):
            parts = (part[:, :, : len(ids)] for part in (layer.keys, layer.values))
            with self.context():
                self.cache.update(*(part.repeat(sequences, 1, 1, 1) for part in parts), index)

    def step(self, token):
        return self.run(torch.full((self.sequences, 1), token), self.cache, self.start)

    def rewind(self):
        with self.context():
            self.cache.crop(-1)

    def unload(self):
        self.forward = self.cache = None
        if self.compiled:
            torch._dynamo.reset()
        super().unload()


# ---- OpenVINO ----


class LastLogits(torch.nn.Module):
    """For tracing: ids [1,T] -> logits [1,V] behind the last. No cache comes out: in OpenVINO's favour. The
    causal mask is given, since transformers' own making of one does not convert (aten::diff)."""

    def __init__(self, model, length):
        super().__init__()
        self.model = model
        mask = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)
        self.register_buffer("mask", mask[None, None])

    def forward(self, ids):
        out = self.model(input_ids=ids, attention_mask=self.mask, use_cache=False, logits_to_keep=1)
        return out.logits[:, -1]


class OpenVino:
    """OpenVINO's CPU plugin on transformers' model, traced once for prompts of one length. Prefill only."""

    decodes = False

    def __init__(self, precision, threads, attention):
        self.precision, self.threads, self.attention = precision, threads, attention
        self.name = f"OpenVINO, {attention} trace"
        self.compiled = None

    def convert(self, length):
        """Path of the IR, made if it is not there. f32: its types are chosen when it is compiled."""
        import openvino

        path = self.model.cache / f"{self.model.folder.name}-{self.attention}-{length}.xml"
        if self.model.stale(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            module = LastLogits(causal_model(self.model.folder, torch.float32, self.attention), length)
            ids = torch.zeros(1, length, dtype=torch.int64)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer's, about sizes that are constant here
                network = openvino.convert_model(module, example_input=(ids,))
            network.reshape({0: [1, length]})
            openvino.save_model(network, path, compress_to_fp16=False)
        return path

    def load(self, model):
        self.model = model

    def prefill(self, ids):
        import openvino

        if self.compiled is None:
            options = {
                "INFERENCE_PRECISION_HINT": self.precision,
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            path = self.convert(len(ids))
            self.compiled = openvino.Core().compile_model(path, "CPU", options)
        return self.compiled([np.array([ids], dtype=np.int64)])[0]

    def unload(self):
        self.compiled = None
        gc.collect()

    @staticmethod
    def as_numpy(logits):
        return np.array(logits, dtype=np.float32)


# ---- llama.cpp ----


class LlamaCpp:
    """llama.cpp on a GGUF file of the same bits: llama_decode, nothing around it. Keys and values in f16, as
    it likes them; every sequence in a stream of its own (kv_unified off): fast where nothing is shared.
    `mapped`: weights stay in the file's pages, as is usual; otherwise they are read into memory of their own,
    which can have huge pages (README).
    """

    decodes = True
    precision = "bf16"

    def __init__(self, flash, threads, mapped=True):
        self.flash, self.threads, self.mapped = flash, threads, mapped
        self.name = "llama.cpp" + (", flash attention" if flash else "")
        self.name += "" if mapped else ", weights read"
        self.model = self.ctx = None

    def load(self, model):
        import llama_cpp

        self.lib = llama_cpp
        # Its log is long, and failures show in what the calls return. The object must outlive all calls.
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP if self.mapped else llama_cpp.LLAMA_LOAD_MODE_NONE
        self.model = llama_cpp.llama_model_load_from_file(str(model.gguf).encode(), options)
        if not self.model:
            raise RuntimeError(f"{model.gguf}: llama.cpp does not read it")
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.open_context()

    def open_context(self):
        options = self.lib.llama_context_default_params()
        options.n_ctx = SEQUENCES * -(-CONTEXT // 256) * 256  # it divides this by the sequences
        options.n_batch = options.n_ubatch = CONTEXT
        options.n_seq_max = options.n_outputs_max = SEQUENCES
        options.n_threads = options.n_threads_batch = self.threads
        on, off = self.lib.LLAMA_FLASH_ATTN_TYPE_ENABLED, self.lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.flash_attn_type = on if self.flash else off
        options.kv_unified = False
        options.no_perf = True
        self.ctx = self.lib.llama_init_from_model(self.model, options)
        if not self.ctx:
            raise RuntimeError("llama.cpp: no context")
        self.memory = self.lib.llama_get_memory(self.ctx)
        self.batch = self.lib.llama_batch_init(CONTEXT, 0, 1)

    def add(self, token, position, sequence, logits):
        b, i = self.batch, self.batch.n_tokens
        b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, logits
        b.seq_id[i][0] = sequence
        b.n_tokens += 1

    def decode(self):
        """Of what stands in the batch; a pointer to logits [n,V] that holds until the next call."""
        status = self.lib.llama_decode(self.ctx, self.batch)
        if status != 0:
            raise RuntimeError(f"llama.cpp: llama_decode says {status}")
        self.lib.llama_synchronize(self.ctx)
        return self.lib.llama_get_logits(self.ctx)

    def prefill(self, ids):
        self.lib.llama_memory_clear(self.memory, False)
        self.batch.n_tokens = 0
        for position, token in enumerate(ids):
            self.add(token, position, 0, position == len(ids) - 1)
        self.rows = 1
        return self.decode()

    def prepare(self, ids, sequences):
        self.prefill(ids)
        for other in range(1, sequences):
            self.lib.llama_memory_seq_cp(self.memory, 0, other, -1, -1)
        self.start, self.rows = len(ids), sequences

    def step(self, token):
        self.batch.n_tokens = 0
        for sequence in range(self.rows):
            self.add(token, self.start, sequence, True)
        return self.decode()

    def rewind(self):
        for sequence in range(self.rows):
            if not self.lib.llama_memory_seq_rm(self.memory, sequence, self.start, -1):
                raise RuntimeError("llama.cpp: a token cannot be taken back")

    def as_numpy(self, logits):
        return np.ctypeslib.as_array(logits, shape=(self.rows, self.vocabulary)).copy()

    def unload(self):
        if self.ctx:
            self.lib.llama_batch_free(self.batch)
            self.lib.llama_free(self.ctx)
        if self.model:
            self.lib.llama_model_free(self.model)
        self.model = self.ctx = None


def all_peers(threads):
    """{short name for --peers: constructor}; the default of --peers is all but OPTIONAL."""
    peers = {"llamacpp-fa": lambda: LlamaCpp(True, threads), "llamacpp": lambda: LlamaCpp(False, threads)}
    peers["llamacpp-fa-read"] = lambda: LlamaCpp(True, threads, mapped=False)
    for precision in ("bf16", "f32"):
        for attention in ("sdpa", "eager"):
            peers[f"openvino-{attention}-{precision}"] = lambda p=precision, a=attention: OpenVino(
                p, threads, a
            )
        for cache in ("dynamic", "static"):
            peers[f"hf-{cache}-{precision}"] = lambda p=precision, c=cache: Transformers(c, p)
        peers[f"hf-compiled-{precision}"] = lambda p=precision: Transformers("static", p, compiled=True)
    return peers


OPTIONAL = ("hf-compiled-f32",)
