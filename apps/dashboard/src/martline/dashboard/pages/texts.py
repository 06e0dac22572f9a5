"""The words of the pages in each language, from ``texts.json``."""

import json
from importlib.resources import files

LANGUAGES = {"en": "English", "ru": "Русский"}


def _read() -> dict[str, dict[str, str]]:
    return dict(json.loads(files(__package__).joinpath("texts.json").read_text(encoding="utf-8")))


ENTRIES = _read()


class Texts:
    """The texts of one language, by key."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text, with ``values`` in place of their names in braces."""
        return ENTRIES[key][self.language].format_map(values)

    def name_of(self, kind: str, value: str) -> str:
        """The name of a value of the data, such as a segment, or the value itself if it has no name."""
        entry = ENTRIES.get(f"{kind}.{value}")
        return entry[self.language] if entry else value


def preferred(accept_language: str) -> str:
    """The available language that a browser's ``Accept-Language`` prefers; English if it prefers none."""
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
