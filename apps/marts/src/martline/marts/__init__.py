"""The marts: small tables that Spark builds in MySQL from the replicated ones, with checks that must hold.

All averages are exact decimals rounded half away from zero to 2 digits, as PostgreSQL's ``round(avg(x), 2)``.
All times are UTC. The marts, what they mean and what their columns are called:

- :mod:`martline.marts.user_activity`: ``mart_user_activity``, one row per user, those without any activity too;
- :mod:`martline.marts.product_rating`: ``mart_product_rating``, one row per product, the unrated ones too;
- :mod:`martline.marts.average_check`: ``mart_average_check``, one row per order status and loyalty status that
  occur.

``_mart_builds`` (:mod:`martline.marts.publish`) tells what was built when.
"""
