"""The words of the pages in each language, from ``texts.json``."""

import json
from importlib.resources import files

LANGUAGES = {"en": "English", "ru": "Русский"}


def _read() -> dict[str, dict[str, str]]:
    return dict(json.loads(files(__package__).joinpath("texts.json").read_text(encoding="utf-8")))


ENTRIES = _read()


class Texts:
    """The words of one language by their keys."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text, with the ``{values}`` that it names."""
        return ENTRIES[key][self.language].format_map(values)

    def name_of(self, kind: str, value: str) -> str:
        """What a value of the data is called, such as a segment; itself where it has no name of its own."""
        entry = ENTRIES.get(f"{kind}.{value}")
        return entry[self.language] if entry else value


def preferred(accept_language: str) -> str:
    """The language of ours that a browser's ``Accept-Language`` asks for most; else English."""
    weighed = []
    for place, part in enumerate(accept_language.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.partition("-")[0].lower()
        if language in LANGUAGES:
            weighed.append((-_weight(weight), place, language))
    return min(weighed)[2] if weighed else "en"


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0
