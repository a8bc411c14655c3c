"""Base classes of judges that ask as a published judge does: the reports stand in its messages as they are."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from cxr_rewards.core.absent import ABSENT, may_be_absent
from cxr_rewards.core.feature import FeatureTable, Over
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, MissingDependencyError
from cxr_rewards.judges.chat import CHAT, Form
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.judges.official import store
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.reply import JudgeReply

_PENALTY = "Penalty on repeated tokens, for servers that take one (vLLM, SGLang), against loops; 1: not sent."


class OfficialReply(JudgeReply):
    """The reply to a published judge's messages: no marks around the reports, no rewriting, no cut, no schema.

    The hash of the prompt's files is part of the signature.

    Class attributes:
        published: the prompt's name, see `cxr_rewards.judges.official.store`.
        path: end of the endpoint's address.
    """

    prompt = ""
    published: ClassVar[str]
    path: ClassVar[str] = CHAT

    repetition_penalty: float = setting(1.0, _PENALTY)

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A pair."""
        return "pair"

    @property
    def context(self) -> tuple[str, ...]:  # type: ignore[override]
        """None."""
        return ()

    @property
    def files(self) -> store.PromptFiles:
        """Files of the prompt, read once."""
        known: store.PromptFiles | None = self.__dict__.get("_files")
        if known is None:
            known = self.__dict__["_files"] = store.load(self.published)
        return known

    @property
    def prompt_id(self) -> str:
        """Name of the published prompt, and digits of its hash."""
        try:
            return f"{self.published}:{self.files.digest}"
        except MissingDependencyError:
            if not may_be_absent():
                raise
            return ABSENT

    @abstractmethod
    def messages(self, item: Any, upstream: FeatureTable) -> Messages:
        """Return the messages of a request."""

    def fields(self) -> Mapping[str, object]:
        """Return fields of a request that the published judge sends, besides the settings'; None: leave one out."""
        return {}

    def form(self) -> Form:
        """Return the fields of a request other than its messages."""
        form = super().form()
        penalty = {} if self.repetition_penalty == 1 else {"repetition_penalty": self.repetition_penalty}
        fields = {**penalty, **json.loads(form.fields), **self.fields(), **json.loads(self.extra_body)}
        sent = {key: value for key, value in fields.items() if value is not None}
        return form._replace(fields=json.dumps(sent), path=self.path)


class OfficialJudge(JudgeComponent):
    """A judge that asks as a published judge does."""

    repetition_penalty: float = setting(1.0, _PENALTY)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.repetition_penalty <= 2:
            raise self.invalid("repetition_penalty", "above 0 to 2")

    @classmethod
    @abstractmethod
    def sample(cls, files: store.PromptFiles) -> dict[str, Messages]:
        """Return the messages of each kind of request, with the words of a template in place of the reports.

        Raises:
            ConfigError: the files do not hold the prompt.
        """


def texts(where: str, *values: object) -> tuple[str, ...]:
    """Return values if all are texts.

    Raises:
        ConfigError: one is not.
    """
    for value in values:
        if not isinstance(value, str):
            raise ConfigError(f"{where}: expected a text, got {type(value).__name__}")
    return values  # type: ignore[return-value]
