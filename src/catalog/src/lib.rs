//! Durable objects, DDL transactions, migrations and built-in relations; implements sql::Catalog.
