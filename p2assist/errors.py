"""Every error that p2assist raises on purpose.

P2AssistError                 the base; its text is shown to the user as it is
├── ConfigError               a setting is unknown, of the wrong type or out of range
├── RepositoryError           the repository cannot be worked on (no tests, broken syntax, no path)
├── HarnessError              the tests cannot be run
│   ├── IsolationError        nothing on this machine isolates a candidate: testing is refused
│   ├── BaselineError         the suite does not pass (or does not collect) before any candidate
│   └── StoppedError          the caller wanted no report any more
├── ModelError                a model cannot be found, loaded or used
│   ├── AdapterError          an adapter is missing, damaged, or made for another base model
│   └── CancelledError        the caller wanted no completion any more
├── StoreError                the replay store cannot be read or written
│   ├── SchemaError           it was written by another version of p2assist
│   └── CorruptStoreError     its file is damaged
└── LearningError             a refresh cannot be run on what there is (too little experience, say)
"""


class P2AssistError(Exception):
    """Base of the tree. The message says what is wrong and what to do about it."""


class ConfigError(P2AssistError):
    """A setting is unknown, of the wrong type or out of range."""


class RepositoryError(P2AssistError):
    """The repository cannot be worked on."""


class HarnessError(P2AssistError):
    """The tests cannot be run."""


class IsolationError(HarnessError):
    """Nothing on this machine isolates a candidate, so testing is refused."""


class BaselineError(HarnessError):
    """The suite gives no usable baseline: nothing collects, or nothing passes."""


class StoppedError(HarnessError):
    """The caller wanted no report any more."""


class ModelError(P2AssistError):
    """A model cannot be found, loaded or used."""


class AdapterError(ModelError):
    """An adapter is missing, damaged, or made for another base model."""


class CancelledError(ModelError):
    """The caller wanted no completion any more."""


class StoreError(P2AssistError):
    """The replay store cannot be read or written."""


class SchemaError(StoreError):
    """The store was written by a version of p2assist that this one does not know."""


class CorruptStoreError(StoreError):
    """The store's file is damaged."""


class LearningError(P2AssistError):
    """A refresh cannot be run on what there is."""
