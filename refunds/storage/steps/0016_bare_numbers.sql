-- People write the number of an order in any case, and without its hyphens and spaces.
CREATE INDEX orders_by_bare_number ON orders ((replace(replace(lower(order_id), '-', ''), ' ', '')));
