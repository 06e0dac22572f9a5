"""``mart_product_rating``: how each product is rated."""

from ibis import _

from martline.marts.definition import Column, Mart, Parts, Table, average
from martline.marts.rules import between, counts, not_negative, null_if, refers


def build(products: Table, productcategories: Table, reviews: Table) -> Table:
    """One row per product, even if unrated, with its category's name."""
    categories = productcategories.select("category_id", category=_.name)
    rated = reviews.group_by("product_id").agg(average_rating=average(_.rating), reviews=_.count())
    return (
        products.left_join(categories, "category_id")
        .left_join(rated, "product_id")
        .select("product_id", "name", "category_id", "category", "average_rating", reviews=_.reviews.fill_null(0))
    )


MART = Mart(
    name="mart_product_rating",
    meaning="How each product is rated; unrated products are there too",
    columns=(
        Column("product_id", "BIGINT NOT NULL", "The product"),
        Column("name", "LONGTEXT", "Name of the product"),
        Column("category_id", "BIGINT", "Category of the product"),
        Column("category", "LONGTEXT", "Name of the category"),
        Column("average_rating", "DECIMAL(22,2)", "Average rating received, 1 to 5; null when unrated"),
        Column("reviews", "BIGINT NOT NULL", "Number of reviews received"),
    ),
    key=("product_id",),
    sources={
        "products": ("product_id", "name", "category_id"),
        "productcategories": ("category_id", "name"),
        "reviews": ("product_id", "rating"),
    },
    build=build,
    parts=Parts(by="product_id", through={"productcategories": ("products", "category_id")}),
    checks=(
        not_negative("reviews"),
        between("average_rating", 1, 5),
        null_if("average_rating", "reviews = 0", "average_rating_iff_reviews"),
        refers("product_id", "products", "product_id"),
        counts("reviews", "reviews"),
    ),
)
