"""The policy: an LSTM that makes one decision after another (NASNet paper, appendix A.2).

Each decision's softmax reads the LSTM's hidden state; the token that was drawn is embedded and fed
back as the next input. The probability of a token sequence is the product over its decisions.

Shapes: ``B`` token sequences in a batch, ``T`` decisions, ``C`` choices of the widest decision
(narrower ones are padded, and the padding is masked to probability 0), ``H`` hidden units.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy
import torch
from torch import Tensor, nn


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside. The policy's matrices are too small for more, and threads that wait
    for each other while workers keep every core busy make it thirty times slower.

    Also float32, so that what is computed inside is the same wherever it runs. Outside, torch is as
    it was, whatever was changed inside.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    device, same = torch.get_default_device(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.are_deterministic_algorithms_enabled() != same:
            torch.use_deterministic_algorithms(same)


class LSTMPolicy(nn.Module):
    """One layer of 100 LSTM units, uniform initial weights in [-0.1, 0.1] (A.2).

    The paper is silent about the embedding (here as wide as the LSTM, with a row for every token of
    every decision) and about temperature (1): both are this project's choice.

    Args:
        choices: number of choices of each decision, in order.
        hidden: LSTM units.
        generator: source of the initial weights.
        temperature: the logits are divided by it; above 1 the policy is more even.
    """

    mask: Tensor
    offsets: Tensor

    def __init__(
        self,
        choices: Sequence[int],
        hidden: int = 100,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.temperature = temperature
        steps, widest = len(choices), max(choices)
        counts, kind = torch.tensor(choices), torch.float32  # whatever torch's default is
        self.embedding = nn.Embedding(1 + sum(choices), hidden, dtype=kind)  # row 0 starts
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, dtype=kind)
        self.head_weight = nn.Parameter(torch.empty(steps, hidden, widest, dtype=kind))
        self.head_bias = nn.Parameter(torch.empty(steps, 1, widest, dtype=kind))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)
        # mask[t, 0, c] is True where decision t has no choice c; offsets[t] + token = embedding row
        mask = torch.from_numpy(~real_choices(choices))[:, None, :]
        self.register_buffer("mask", mask, persistent=False)
        offsets = 1 + torch.cumsum(counts, 0) - counts
        self.register_buffer("offsets", offsets, persistent=False)

    def log_distribution(self, tokens: Tensor) -> Tensor:
        """log P(c | tokens before t) for every decision t and choice c.

        Args:
            tokens: (B, T) whole numbers; the last one is not read.

        Returns:
            (B, T, C); minus infinity at choices that a decision does not have.
        """
        rows = (tokens + self.offsets)[:, :-1]
        rows = torch.cat([rows.new_zeros(len(tokens), 1), rows], dim=1)
        states, _ = self.lstm(self.embedding(rows))  # (B, T, H)
        # (T, B, C), a weight matrix for each decision
        logits = torch.baddbmm(self.head_bias, states.transpose(0, 1), self.head_weight)
        return self._log_softmax(logits).transpose(0, 1)

    def evaluate(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """log P of each token given those before it, and each decision's entropy: two (B, T)."""
        log_distribution = self.log_distribution(tokens)
        return _log_probs(log_distribution, tokens), entropy(log_distribution)

    def _log_softmax(self, logits: Tensor, heat: float = 1.0) -> Tensor:
        scaled = logits / (self.temperature * heat)
        return scaled.masked_fill(self.mask, -torch.inf).log_softmax(-1)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw ``count`` token sequences; returns what :meth:`draw` returns."""
        steps, _, widest = self.mask.shape
        dtype = self.head_weight.dtype
        uniform = torch.rand(steps, count, widest, generator=generator, dtype=dtype)
        return self.draw(uniform.transpose(0, 1))

    def draw(self, uniform: Tensor, heat: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Draw one token sequence from each (T, C) of random numbers, and from nothing else.

        The same numbers as :meth:`log_distribution`, one decision at a time and without autograd's
        bookkeeping. A softmax is sampled by adding Gumbel noise to its logits and taking the
        largest.

        Args:
            uniform: (B, T, C) random numbers from 0 to 1.
            heat: the temperature is multiplied by it.

        Returns:
            tokens (B, T), log P of each of them (B, T), and log P of every choice as it was when
            they were drawn (B, T, C), minus infinity at choices that a decision does not have.
        """
        steps, _, widest = self.mask.shape
        count, hidden = len(uniform), self.lstm.hidden_size
        dtype = self.head_weight.dtype
        with torch.inference_mode():
            noise = -torch.log(-torch.log(uniform.transpose(0, 1).clamp(1e-10, 1 - 1e-7)))
            noise = (noise * (self.temperature * heat)).masked_fill_(self.mask, -torch.inf)

            # the LSTM's input is always an embedding row, so its share of the gates is a table
            weight_in, weight_back, bias_in, bias_back = self.lstm.all_weights[0]
            table = self.embedding.weight @ weight_in.T + (bias_in + bias_back)
            start, *tables = table.split([1, *self.choices])
            recurrent = weight_back.T.contiguous()
            h = c = torch.zeros(count, hidden, dtype=dtype)
            tokens = torch.empty(steps, count, dtype=torch.long)
            logits = torch.empty(steps, count, widest, dtype=dtype)
            fed_back = start.expand(count, -1)  # (B, 4H)
            parts = (tables, self.head_weight, self.head_bias, noise, logits, tokens)
            for rows, weight, bias, noise_t, logits_t, token in zip(*parts, strict=True):
                gates = torch.addmm(fed_back, h, recurrent)  # (B, 4H): i, f, g, o
                i, f, _, o = torch.sigmoid(gates).chunk(4, 1)
                g = torch.tanh(gates[:, 2 * hidden : 3 * hidden])
                c = torch.addcmul(f * c, i, g)
                h = o * torch.tanh(c)
                torch.addmm(bias, h, weight, out=logits_t)
                torch.argmax(logits_t + noise_t, 1, out=token)
                fed_back = rows.index_select(0, token)
            log_distribution = self._log_softmax(logits, heat)
            log_probs = _log_probs(log_distribution, tokens)
        # copies, since autograd takes no tensor that was made in inference mode
        return tokens.T.clone(), log_probs.T.clone(), log_distribution.transpose(0, 1).clone()


def _log_probs(log_distribution: Tensor, tokens: Tensor) -> Tensor:
    return log_distribution.gather(-1, tokens[..., None]).squeeze(-1)


def entropy(log_distribution: Tensor) -> Tensor:
    """Entropy in nats of each distribution along the last axis; masked choices add nothing."""
    finite = log_distribution.masked_fill(log_distribution == -torch.inf, 0.0)
    return -(finite.exp() * finite).sum(-1)


def real_choices(choices: Sequence[int]) -> numpy.ndarray:
    """(T, C) bool: whether decision t has a choice c."""
    return numpy.arange(max(choices)) < numpy.array(choices)[:, None]


def padded(flat: numpy.ndarray, choices: Sequence[int]) -> numpy.ndarray:
    """Distributions with a row per decision, as :attr:`Proposal.distributions` holds them flat.

    Args:
        flat: (..., S), S being the sum of ``choices``.
        choices: number of choices of each decision.

    Returns:
        (..., T, C) float32; 0 where a decision has no such choice.
    """
    real = real_choices(choices)
    rows = numpy.zeros((*flat.shape[:-1], *real.shape), numpy.float32)
    rows[..., real] = flat
    return rows
