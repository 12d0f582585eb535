-- Primary keys, then the foreign keys that the queries join by.
CREATE INDEX region_pk ON region (r_regionkey);
CREATE INDEX nation_pk ON nation (n_nationkey);
CREATE INDEX part_pk ON part (p_partkey);
CREATE INDEX supplier_pk ON supplier (s_suppkey);
CREATE INDEX partsupp_pk ON partsupp (ps_partkey, ps_suppkey);
CREATE INDEX customer_pk ON customer (c_custkey);
CREATE INDEX orders_pk ON orders (o_orderkey);
CREATE INDEX lineitem_pk ON lineitem (l_orderkey, l_linenumber);
CREATE INDEX nation_region ON nation (n_regionkey);
CREATE INDEX supplier_nation ON supplier (s_nationkey);
CREATE INDEX partsupp_part ON partsupp (ps_partkey);
CREATE INDEX partsupp_supplier ON partsupp (ps_suppkey);
CREATE INDEX customer_nation ON customer (c_nationkey);
CREATE INDEX orders_customer ON orders (o_custkey);
CREATE INDEX lineitem_order ON lineitem (l_orderkey);
CREATE INDEX lineitem_part ON lineitem (l_partkey);
CREATE INDEX lineitem_supplier ON lineitem (l_suppkey);
CREATE INDEX lineitem_partsupp ON lineitem (l_partkey, l_suppkey);
