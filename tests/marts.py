"""The expected content of the marts, computed by PostgreSQL itself, without the code that builds them."""

from contextlib import closing
from typing import Any

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
SALES_DAILY = """
SELECT day, category_id, count(*) FILTER (WHERE NOT returned), count(DISTINCT user_id) FILTER (WHERE NOT returned),
    coalesce(sum(amount) FILTER (WHERE NOT returned), 0), round(avg(amount) FILTER (WHERE NOT returned), 2),
    count(*) FILTER (WHERE returned)
FROM (SELECT order_date::date AS day, category_id, order_id, user_id, status = 'Returned' AS returned,
        sum(total_price) AS amount
    FROM orders JOIN orderdetails USING (order_id) JOIN products USING (product_id)
    WHERE status NOT IN ('Canceled', 'Failed') GROUP BY 1, 2, 3, 4, 5) by_order
GROUP BY 1, 2 ORDER BY 1, 2
"""
CUSTOMER_RFM = """
WITH bought AS (SELECT user_id, max(order_date)::date AS last_day, count(*) AS frequency, sum(total_amount) AS monetary
    FROM orders WHERE status NOT IN ('Canceled', 'Failed', 'Returned') GROUP BY 1),
scored AS (SELECT *, max(last_day) OVER () - last_day AS recency_days,
        5 - (rank() OVER (ORDER BY last_day DESC) - 1) * 5 / count(*) OVER () AS r,
        1 + (rank() OVER (ORDER BY frequency) - 1) * 5 / count(*) OVER () AS f,
        1 + (rank() OVER (ORDER BY monetary) - 1) * 5 / count(*) OVER () AS m
    FROM bought)
SELECT user_id, recency_days, coalesce(frequency, 0), coalesce(monetary, 0), r, f, m,
    CASE WHEN r IS NULL THEN 'No orders' WHEN r >= 4 AND f + m >= 8 THEN 'Champions'
        WHEN r >= 3 AND f + m >= 6 THEN 'Loyal' WHEN r >= 4 THEN 'New' WHEN r = 3 THEN 'Needs attention'
        WHEN f + m >= 6 THEN 'At risk' ELSE 'Lost' END
FROM users LEFT JOIN scored USING (user_id) ORDER BY 1
"""
COHORT_RETENTION = """
WITH bought AS (SELECT DISTINCT user_id, date_trunc('month', order_date) AS month
    FROM orders WHERE status NOT IN ('Canceled', 'Failed', 'Returned')),
registered AS (SELECT user_id, date_trunc('month', registration_date) AS cohort FROM users),
sizes AS (SELECT cohort, count(*) AS users FROM registered GROUP BY 1)
SELECT cohort::date, (extract(year FROM age(month, cohort)) * 12 + extract(month FROM age(month, cohort)))::bigint,
    users, active, round(active * 100.0 / users, 2)
FROM sizes
CROSS JOIN LATERAL generate_series(cohort, (SELECT max(month) FROM bought), interval '1 month') AS month
CROSS JOIN LATERAL (SELECT count(*) AS active FROM registered JOIN bought USING (user_id)
    WHERE registered.cohort = sizes.cohort AND bought.month = month.month) counted
ORDER BY 1, 2
"""
MARTS = {
    SALES_DAILY: "SELECT day, category_id, orders, buyers, revenue, average_check, returns FROM mart_sales_daily ORDER BY 1, 2",
    CUSTOMER_RFM: "SELECT user_id, recency_days, frequency, monetary, recency_score, frequency_score, monetary_score, segment FROM mart_customer_rfm ORDER BY 1",
    COHORT_RETENTION: "SELECT cohort_month, months_since, users, active_users, retention_percent FROM mart_cohort_retention ORDER BY 1, 2",
    USER_ACTIVITY: "SELECT user_id, first_name, last_name, loyalty_status, orders, amount_spent, reviews, average_rating, loyalty_points FROM mart_user_activity ORDER BY 1",
    ACTIVITY_TIMES: "SELECT user_id, first_activity_at, last_activity_at FROM mart_user_activity ORDER BY 1",
    PRODUCT_RATING: "SELECT product_id, name, category_id, category, average_rating, reviews FROM mart_product_rating ORDER BY 1",
    AVERAGE_CHECK: "SELECT order_status, loyalty_status, orders, average_amount FROM mart_average_check ORDER BY 1, 2",
}


def require_marts(source: Any, target: Any) -> None:
    """Compare the marts in MySQL with PostgreSQL's own computation; any driver's connections will do."""
    for expected, mart in MARTS.items():
        assert rows(target, mart) == rows(source, expected)


def rows(connection: Any, query: str) -> list[tuple[Any, ...]]:
    """The rows that the server returns."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
