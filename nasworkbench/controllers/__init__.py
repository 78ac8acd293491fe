"""Controllers: they propose architectures and learn from their rewards."""

from .base import Controller, Outcome, Proposal
from .evolution import RegularizedEvolution
from .policy import LSTMPolicy
from .policy_gradient import PolicyGradient
from .ppo import PPO
from .random_search import RandomSearch
from .reinforce import Reinforce

__all__ = [
    "PPO",
    "Controller",
    "LSTMPolicy",
    "Outcome",
    "PolicyGradient",
    "Proposal",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
]
