"""Make the pools of names and texts with Faker: `python -m martline.shop.generation.make_pools`.

The pools are files in this package, so that generated rows do not depend on Faker's version, and no run waits for
Faker. Run this again to renew them; the checksums in the tests change with them.
"""

import json
from collections.abc import Callable
from pathlib import Path

from faker import Faker

from martline.shop.generation.plan import LOCALES

FOLDER = Path(__file__).parent / "pools"
SEED = 14
NAMES, TEXTS = 400, 1000
_CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_AS_LATIN = "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh sch - y - e yu ya"
_LATIN = dict(zip(_CYRILLIC, _AS_LATIN.replace("-", "").split(" "), strict=True))
OPENINGS = {
    "en_US": [
        ["Broke on the first day.", "A waste of money.", "I have sent it back.", "The worst that I ever bought."],
        [
            "Worse than I had expected.",
            "It works, but badly.",
            "Not worth its price.",
            "Never again.",
        ],
        ["Neither good nor bad.", "It will do.", "Good, with some faults.", "As the price, so the thing."],
        ["A good buy.", "I am content with it.", "Well made, late in coming.", "Almost all is fine."],
        ["Excellent!", "Better than I had hoped.", "I recommend it to everybody.", "The best of its kind."],
    ],
    "ru_RU": [
        ["Сломалось в первый же день.", "Деньги на ветер.", "Вернул продавцу.", "Хуже ничего не покупал."],
        ["Хуже, чем ожидал.", "Работает, но плохо.", "Своей цены не стоит.", "Второй раз не куплю."],
        ["Ни хорошо ни плохо.", "Сойдёт.", "Неплохо, но есть недостатки.", "Какова цена, таков и товар."],
        ["Хорошая покупка.", "Доволен.", "Сделано хорошо, доставили поздно.", "Почти всё отлично."],
        ["Отлично!", "Лучше, чем ожидал.", "Советую всем.", "Лучшее в своём роде."],
    ],
}


def latin(word: str) -> str:
    """The word as it is in an e-mail address: only ASCII letters and digits."""
    letters = (_LATIN.get(letter, letter) for letter in word.lower())
    return "".join(letter for letter in "".join(letters) if letter.isascii() and letter.isalnum())


def distinct(make: Callable[[], str], count: int) -> list[str]:
    """At most ``count`` different results of ``make``, in the order in which they come."""
    found: dict[str, None] = {}
    for _ in range(count * 20):
        found[make()] = None
        if len(found) == count:
            break
    return list(found)


def pools(locale: str) -> dict[str, object]:
    """The pools of a locale. Men's and women's names are separate, so that first and last names match."""
    faker = Faker(locale)
    faker.seed_instance(SEED)
    men = [distinct(faker.first_name_male, NAMES), distinct(faker.last_name_male, NAMES)]
    women = [distinct(faker.first_name_female, NAMES), distinct(faker.last_name_female, NAMES)]
    return {
        "first_names": [men[0], women[0]],
        "last_names": [men[1], women[1]],
        "first_names_latin": [[latin(name) for name in names] for names in (men[0], women[0])],
        "last_names_latin": [[latin(name) for name in names] for names in (men[1], women[1])],
        "brands": distinct(lambda: faker.last_name_male().split("-")[0], NAMES),
        "texts": distinct(faker.sentence, TEXTS),
        "openings": OPENINGS[locale],
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for locale in LOCALES:
        text = json.dumps(pools(locale), ensure_ascii=False, indent=0)
        (FOLDER / f"{locale}.json").write_text(text + "\n", encoding="utf-8")
