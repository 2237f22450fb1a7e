"""How the memory is set: ranking, limits, language, and who makes vectors."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RankingConfig(BaseModel):
    """How hits are ordered; every default names where it is from."""

    model_config = _STRICT

    fusion: Literal["weighted", "reciprocal"] = "weighted"
    """`weighted`: sum of scaled scores (Bruch et al. 2023); `reciprocal`: of 1/(k + rank)."""
    lexical: float = Field(default=0.5, ge=0)
    """Weight of BM25 beside vectors; `python -m bench memory_quality` prints what others give."""
    vector: float = Field(default=0.5, ge=0)
    """Weight of the vectors' cosine."""
    reciprocal_k: float = Field(default=60, gt=0)
    """k of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
    recency: float = Field(default=0.05, ge=0)
    """Weight of recency beside relevance, which has 1. Park et al. 2023 use 1 for companions."""
    importance: float = Field(default=0.05, ge=0)
    """Weight of importance beside relevance."""
    half_life_days: float = Field(default=30, gt=0)
    """Days after which recency counts half; Park et al. 2023 forget within days (0.995 an hour)."""
    diversity: float = Field(default=0.3, ge=0, le=1)
    """How much `recall` avoids telling the same twice: 1 - λ of Carbonell and Goldstein 1998."""
    k1: float = Field(default=1.2, ge=0)
    """BM25's term saturation (Robertson and Zaragoza 2009; Lucene's default)."""
    b: float = Field(default=0.75, ge=0, le=1)
    """BM25's length normalisation (as above)."""
    candidates: int = Field(default=100, ge=10, le=1000)
    """How many hits of each way are fused."""


class OpenAIEmbedderConfig(BaseModel):
    """OpenAI's embeddings, or of any server that speaks them."""

    model_config = _STRICT

    type: Literal["openai"]
    """Kind of embedder."""
    model: str = "text-embedding-3-small"
    """The model's name."""
    url: str = "https://api.openai.com/v1"
    """Base address; `/embeddings` is added."""
    key: SecretStr | None = None
    """API key; None sends none."""
    dimensions: int | None = Field(default=None, ge=1, le=4000)
    """Numbers asked for; None is the model's own."""


class OllamaEmbedderConfig(BaseModel):
    """A model that Ollama runs on this machine."""

    model_config = _STRICT

    type: Literal["ollama"]
    """Kind of embedder."""
    model: str = "nomic-embed-text"
    """The model's name."""
    url: str = "http://127.0.0.1:11434"
    """Where Ollama listens."""


class GeminiEmbedderConfig(BaseModel):
    """Google's Gemini API."""

    model_config = _STRICT

    type: Literal["gemini"]
    """Kind of embedder."""
    model: str = "gemini-embedding-001"
    """The model's name."""
    url: str = "https://generativelanguage.googleapis.com/v1beta"
    """Base address."""
    key: SecretStr
    """API key."""
    dimensions: int | None = Field(default=768, ge=1, le=4000)
    """Numbers asked for; None is the model's own."""


class LocalEmbedderConfig(BaseModel):
    """A model in this process; the package must be installed, the model is at hand or fetched."""

    model_config = _STRICT

    type: Literal["fastembed", "sentence-transformers"]
    """Which package runs it."""
    model: str = "BAAI/bge-small-en-v1.5"
    """The model's name or folder."""


EmbedderConfig = Annotated[
    OpenAIEmbedderConfig | OllamaEmbedderConfig | GeminiEmbedderConfig | LocalEmbedderConfig,
    Field(discriminator="type"),
]
"""Who turns texts into vectors."""


class MemoryConfig(BaseModel):
    """Remember facts, events, preferences and notes for agents, and find them again."""

    model_config = _STRICT

    embedder: EmbedderConfig | None = None
    """Who makes vectors: `openai`, `ollama`, `gemini`, `fastembed`; None: words alone."""
    embed_seconds: float = Field(default=10, gt=0)
    """Longest wait for vectors in a call; a record without one gets it later."""
    language: str = Field(default="english", pattern="^[a-z_]{1,63}$")
    """PostgreSQL text search configuration: word stems and stop words; `simple` has neither."""
    ranking: RankingConfig = RankingConfig()
    """How hits are ordered."""
    merge_similarity: float = Field(default=0.9, ge=0, le=1)
    """Share of equal words from which a new record merges into an old one; 0 never merges."""
    core_block_chars: int = Field(default=2000, ge=1)
    """Longest core block, in characters."""
    core_chars: int = Field(default=8000, ge=1)
    """Longest core memory of one agent, all blocks together, in characters."""
    max_text_chars: int = Field(default=20_000, ge=1)
    """Longest text of one record, in characters."""
    forgotten_days: int = Field(default=30, ge=0)
    """Days after which what was forgotten is removed for good; 0 keeps it."""
