"""What the marts must hold, computed by PostgreSQL itself: none of the code that builds them is asked."""

from typing import Any

import psycopg
import pymysql

USER_ACTIVITY = """
SELECT u.user_id, u.first_name, u.last_name, u.loyalty_status,
    coalesce(o.orders, 0), coalesce(o.spent, 0), coalesce(r.reviews, 0), r.rating, coalesce(l.points, 0)
FROM users u
LEFT JOIN (SELECT user_id, count(*) AS orders,
    sum(total_amount) FILTER (WHERE status NOT IN ('Canceled', 'Failed', 'Returned')) AS spent
    FROM orders GROUP BY 1) o USING (user_id)
LEFT JOIN (SELECT user_id, count(*) AS reviews, round(avg(rating), 2) AS rating FROM reviews GROUP BY 1) r
    USING (user_id)
LEFT JOIN (SELECT user_id, sum(points) AS points FROM loyaltypoints GROUP BY 1) l USING (user_id)
ORDER BY 1
"""
ACTIVITY_TIMES = """
SELECT user_id, min(at), max(at) FROM users LEFT JOIN (
    SELECT user_id, order_date AS at FROM orders UNION ALL SELECT user_id, created_at FROM reviews
    UNION ALL SELECT user_id, created_at FROM loyaltypoints
) activities USING (user_id) GROUP BY 1 ORDER BY 1
"""
PRODUCT_RATING = """
SELECT p.product_id, p.name, p.category_id, c.name, round(avg(r.rating), 2), count(r.rating)
FROM products p LEFT JOIN productcategories c USING (category_id) LEFT JOIN reviews r USING (product_id)
GROUP BY p.product_id, c.category_id ORDER BY 1
"""
AVERAGE_CHECK = """
SELECT o.status, u.loyalty_status, count(*), round(avg(o.total_amount), 2)
FROM orders o JOIN users u USING (user_id) GROUP BY 1, 2 ORDER BY 1, 2
"""
MARTS = {
    USER_ACTIVITY: "SELECT user_id, first_name, last_name, loyalty_status, orders, amount_spent, reviews, average_rating, loyalty_points FROM mart_user_activity ORDER BY 1",
    ACTIVITY_TIMES: "SELECT user_id, first_activity_at, last_activity_at FROM mart_user_activity ORDER BY 1",
    PRODUCT_RATING: "SELECT product_id, name, category_id, category, average_rating, reviews FROM mart_product_rating ORDER BY 1",
    AVERAGE_CHECK: "SELECT order_status, loyalty_status, orders, average_amount FROM mart_average_check ORDER BY 1, 2",
}


def require_marts(source: psycopg.Connection, target: "pymysql.Connection[Any]") -> None:
    """Compare the three marts in MySQL with PostgreSQL's own computation."""
    for expected, mart in MARTS.items():
        assert rows(target, mart) == source.execute(expected).fetchall()


def rows(target: "pymysql.Connection[Any]", query: str) -> list[tuple[Any, ...]]:
    """What MySQL answers."""
    with target.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
