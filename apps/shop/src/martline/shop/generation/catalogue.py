"""The product categories: a tree of three levels in each language, with a median price for each leaf."""

from dataclasses import dataclass

# The name, the median price, the name in Russian, and what one piece is called in both languages.
_Leaf = tuple[str, int, str, str, str]
_TREE: dict[tuple[str, str], dict[tuple[str, str], tuple[_Leaf, ...]]] = {
    ("Electronics", "Электроника"): {
        ("Phones", "Телефоны"): (
            ("Smartphones", 420, "Смартфоны", "Smartphone", "Смартфон"),
            ("Cases", 18, "Чехлы", "Case", "Чехол"),
            ("Chargers", 25, "Зарядные устройства", "Charger", "Зарядное устройство"),
        ),
        ("Computers", "Компьютеры"): (
            ("Laptops", 890, "Ноутбуки", "Laptop", "Ноутбук"),
            ("Monitors", 240, "Мониторы", "Monitor", "Монитор"),
            ("Keyboards", 55, "Клавиатуры", "Keyboard", "Клавиатура"),
        ),
        ("Photo and video", "Фото и видео"): (
            ("Cameras", 610, "Фотоаппараты", "Camera", "Фотоаппарат"),
            ("Lenses", 380, "Объективы", "Lens", "Объектив"),
            ("Tripods", 60, "Штативы", "Tripod", "Штатив"),
        ),
    },
    ("Home", "Дом"): {
        ("Kitchen", "Кухня"): (
            ("Kettles", 40, "Чайники", "Kettle", "Чайник"),
            ("Pans", 35, "Сковороды", "Pan", "Сковорода"),
            ("Coffee machines", 230, "Кофемашины", "Coffee machine", "Кофемашина"),
        ),
        ("Furniture", "Мебель"): (
            ("Chairs", 85, "Стулья", "Chair", "Стул"),
            ("Tables", 180, "Столы", "Table", "Стол"),
            ("Shelves", 70, "Полки", "Shelf", "Полка"),
        ),
        ("Lighting", "Освещение"): (
            ("Lamps", 38, "Лампы", "Lamp", "Лампа"),
            ("Chandeliers", 120, "Люстры", "Chandelier", "Люстра"),
            ("Bulbs", 6, "Лампочки", "Bulb", "Лампочка"),
        ),
    },
    ("Books", "Книги"): {
        ("Fiction", "Художественная литература"): (
            ("Novels", 14, "Романы", "Novel", "Роман"),
            ("Poetry", 12, "Поэзия", "Book of poems", "Сборник стихов"),
            ("Crime", 11, "Детективы", "Crime story", "Детектив"),
        ),
        ("Science", "Наука"): (
            ("Mathematics", 48, "Математика", "Textbook of mathematics", "Учебник математики"),
            ("Physics", 52, "Физика", "Textbook of physics", "Учебник физики"),
            ("Biology", 45, "Биология", "Textbook of biology", "Учебник биологии"),
        ),
        ("Children", "Детям"): (
            ("Fairy tales", 10, "Сказки", "Fairy tale", "Сказка"),
            ("Picture books", 9, "Книжки-картинки", "Picture book", "Книжка-картинка"),
            ("Colouring books", 5, "Раскраски", "Colouring book", "Раскраска"),
        ),
    },
    ("Clothes", "Одежда"): {
        ("Shoes", "Обувь"): (
            ("Trainers", 75, "Кроссовки", "Pair of trainers", "Кроссовки"),
            ("Boots", 110, "Ботинки", "Pair of boots", "Ботинки"),
            ("Sandals", 42, "Сандалии", "Pair of sandals", "Сандалии"),
        ),
        ("Outerwear", "Верхняя одежда"): (
            ("Jackets", 130, "Куртки", "Jacket", "Куртка"),
            ("Coats", 170, "Пальто", "Coat", "Пальто"),
            ("Raincoats", 80, "Плащи", "Raincoat", "Плащ"),
        ),
        ("Accessories", "Аксессуары"): (
            ("Bags", 65, "Сумки", "Bag", "Сумка"),
            ("Belts", 28, "Ремни", "Belt", "Ремень"),
            ("Scarves", 24, "Шарфы", "Scarf", "Шарф"),
        ),
    },
}
USUAL_PRICE = 50
"""The median price in a category that is not in this tree."""


@dataclass(frozen=True)
class Category:
    """A category. ``parent`` is the number of another one, counted from 0; ``piece`` names a leaf's products."""

    name: str
    parent: int | None
    piece: str = ""
    price: int = USUAL_PRICE


def categories(language: str) -> list[Category]:
    """The tree in ``en`` or ``ru``, parents before children."""
    russian = language == "ru"
    found: list[Category] = []
    for root, children in _TREE.items():
        found.append(Category(root[russian], None))
        root_number = len(found) - 1
        for child, leaves in children.items():
            found.append(Category(child[russian], root_number))
            child_number = len(found) - 1
            for english, price, in_russian, piece, piece_in_russian in leaves:
                name = in_russian if russian else english
                found.append(Category(name, child_number, piece_in_russian if russian else piece, price))
    return found


def leaf_by_name(name: str) -> Category:
    """The leaf with this name in either language, or a new one if the tree has none."""
    for language in ("en", "ru"):
        for category in categories(language):
            if category.piece and category.name == name:
                return category
    return Category(name, None, name)
