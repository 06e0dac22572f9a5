"""The columns of the tables, in order. The tables in ``schema.sql`` have the same columns."""

import pyarrow as pa

from martline.shop.generation.columns import AMOUNT, PRICE

MOMENT = pa.timestamp("s")
SCHEMAS = {
    table: pa.schema(columns)
    for table, columns in {
        "users": {
            "user_id": pa.int64(),
            "first_name": pa.string(),
            "last_name": pa.string(),
            "email": pa.string(),
            "phone": pa.string(),
            "registration_date": MOMENT,
            "loyalty_status": pa.string(),
        },
        "productcategories": {
            "category_id": pa.int64(),
            "name": pa.string(),
            "parent_category_id": pa.int64(),
        },
        "products": {
            "product_id": pa.int64(),
            "name": pa.string(),
            "description": pa.string(),
            "category_id": pa.int64(),
            "price": PRICE,
            "stock_quantity": pa.int32(),
            "creation_date": MOMENT,
        },
        "orders": {
            "order_id": pa.int64(),
            "user_id": pa.int64(),
            "order_date": MOMENT,
            "total_amount": AMOUNT,
            "status": pa.string(),
            "delivery_date": MOMENT,
        },
        "orderdetails": {
            "order_detail_id": pa.int64(),
            "order_id": pa.int64(),
            "product_id": pa.int64(),
            "quantity": pa.int32(),
            "price_per_unit": PRICE,
            "total_price": AMOUNT,
        },
        "reviews": {
            "review_id": pa.int64(),
            "user_id": pa.int64(),
            "product_id": pa.int64(),
            "rating": pa.int16(),
            "review_text": pa.string(),
            "created_at": MOMENT,
        },
        "loyaltypoints": {
            "loyalty_id": pa.int64(),
            "user_id": pa.int64(),
            "points": pa.int32(),
            "reason": pa.string(),
            "created_at": MOMENT,
        },
    }.items()
}
KEYS = {table: schema.names[0] for table, schema in SCHEMAS.items()}
"""Each table's primary key, whose values come from a sequence."""
