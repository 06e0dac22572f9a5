"""The marts as a good SQL author would write them for MySQL: first aggregated, then joined."""

NOT_SOLD = "('Canceled', 'Failed', 'Returned')"

QUERIES = {
    "mart_average_check": """
        SELECT status AS order_status, loyalty_status, SUM(n) AS orders,
            ROUND(SUM(total) / SUM(n), 2) AS average_amount
        FROM (SELECT user_id, status, COUNT(*) AS n, SUM(total_amount) AS total FROM orders GROUP BY 1, 2) o
        JOIN users USING (user_id) GROUP BY 1, 2""",
    "mart_cohort_retention": f"""
        WITH RECURSIVE registered AS (
            SELECT user_id, YEAR(registration_date) * 12 + MONTH(registration_date) - 1 AS cohort FROM users),
        bought AS (SELECT DISTINCT user_id, YEAR(order_date) * 12 + MONTH(order_date) - 1 AS month
            FROM orders WHERE status NOT IN {NOT_SOLD}),
        sizes AS (SELECT cohort, COUNT(*) AS users FROM registered GROUP BY 1),
        months AS (SELECT cohort, users, 0 AS months_since, (SELECT MAX(month) FROM bought) - cohort AS latest
                FROM sizes
            UNION ALL SELECT cohort, users, months_since + 1, latest FROM months WHERE months_since < latest),
        active AS (SELECT cohort, month - cohort AS months_since, COUNT(*) AS active_users
            FROM bought JOIN registered USING (user_id) GROUP BY 1, 2)
        SELECT DATE(CONCAT(m.cohort DIV 12, '-', m.cohort % 12 + 1, '-1')) AS cohort_month, m.months_since, users,
            COALESCE(active_users, 0) AS active_users,
            ROUND(COALESCE(active_users, 0) * 100 / users, 2) AS retention_percent
        FROM months m LEFT JOIN active a ON a.cohort = m.cohort AND a.months_since = m.months_since
        WHERE latest >= 0""",
    "mart_customer_rfm": f"""
        WITH bought AS (SELECT user_id, DATE(MAX(order_date)) AS last_day, COUNT(*) AS frequency,
                SUM(total_amount) AS monetary
            FROM orders WHERE status NOT IN {NOT_SOLD} GROUP BY 1),
        whole AS (SELECT MAX(last_day) AS today, COUNT(*) AS buyers FROM bought),
        scored AS (SELECT user_id, DATEDIFF(today, last_day) AS recency_days, frequency, monetary,
                5 - (RANK() OVER (ORDER BY last_day DESC) - 1) * 5 DIV buyers AS r,
                1 + (RANK() OVER (ORDER BY frequency) - 1) * 5 DIV buyers AS f,
                1 + (RANK() OVER (ORDER BY monetary) - 1) * 5 DIV buyers AS m FROM bought CROSS JOIN whole)
        SELECT user_id, recency_days, COALESCE(frequency, 0) AS frequency, COALESCE(monetary, 0) AS monetary,
            r AS recency_score, f AS frequency_score, m AS monetary_score,
            CASE WHEN r IS NULL THEN 'No orders' WHEN r >= 4 AND f + m >= 8 THEN 'Champions'
                WHEN r >= 3 AND f + m >= 6 THEN 'Loyal' WHEN r >= 4 THEN 'New' WHEN r = 3 THEN 'Needs attention'
                WHEN f + m >= 6 THEN 'At risk' ELSE 'Lost' END AS segment
        FROM users LEFT JOIN scored USING (user_id)""",
    "mart_product_rating": """
        SELECT product_id, p.name, category_id, c.name AS category, average_rating,
            COALESCE(reviews, 0) AS reviews
        FROM products p LEFT JOIN productcategories c USING (category_id)
        LEFT JOIN (SELECT product_id, ROUND(AVG(rating), 2) AS average_rating, COUNT(*) AS reviews
            FROM reviews GROUP BY 1) r USING (product_id)""",
    "mart_sales_daily": """
        SELECT day, category_id, SUM(status <> 'Returned') AS orders,
            COUNT(DISTINCT CASE WHEN status <> 'Returned' THEN user_id END) AS buyers,
            SUM(CASE WHEN status <> 'Returned' THEN amount ELSE 0 END) AS revenue,
            ROUND(AVG(CASE WHEN status <> 'Returned' THEN amount END), 2) AS average_check,
            SUM(status = 'Returned') AS returns
        FROM (SELECT DATE(order_date) AS day, status, user_id, category_id, amount
            FROM (SELECT order_id, category_id, SUM(total_price) AS amount
                FROM orderdetails JOIN products USING (product_id) GROUP BY 1, 2) d
            JOIN orders USING (order_id) WHERE status NOT IN ('Canceled', 'Failed')) by_order
        GROUP BY 1, 2""",
    "mart_user_activity": f"""
        SELECT user_id, first_name, last_name, loyalty_status, COALESCE(orders, 0) AS orders,
            COALESCE(amount_spent, 0) AS amount_spent, COALESCE(reviews, 0) AS reviews, average_rating,
            COALESCE(loyalty_points, 0) AS loyalty_points,
            NULLIF(LEAST(COALESCE(o.first, '9999-12-31'), COALESCE(r.first, '9999-12-31'),
                COALESCE(l.first, '9999-12-31')), '9999-12-31') AS first_activity_at,
            NULLIF(GREATEST(COALESCE(o.last, '0001-01-01'), COALESCE(r.last, '0001-01-01'),
                COALESCE(l.last, '0001-01-01')), '0001-01-01') AS last_activity_at
        FROM users
        LEFT JOIN (SELECT user_id, COUNT(*) AS orders,
            SUM(CASE WHEN status IN {NOT_SOLD} THEN 0 ELSE total_amount END) AS amount_spent,
            MIN(order_date) AS first, MAX(order_date) AS last FROM orders GROUP BY 1) o USING (user_id)
        LEFT JOIN (SELECT user_id, COUNT(*) AS reviews, ROUND(AVG(rating), 2) AS average_rating,
            MIN(created_at) AS first, MAX(created_at) AS last FROM reviews GROUP BY 1) r USING (user_id)
        LEFT JOIN (SELECT user_id, SUM(points) AS loyalty_points,
            MIN(created_at) AS first, MAX(created_at) AS last
            FROM loyaltypoints GROUP BY 1) l USING (user_id)""",
}
"""Each query has the columns of its mart, in the same order."""
