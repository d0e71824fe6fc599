-- The read-only role of dashboards and reports: it sees the views of the schema `reporting` and nothing else. Run it as a
-- role that may create roles, in the database of Unvarnished, after `unvarnished migrate`:
--   psql -v password="'...'" -f reader.sql
CREATE ROLE unvarnished_reader LOGIN PASSWORD :password NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
ALTER ROLE unvarnished_reader SET default_transaction_read_only = on;
ALTER ROLE unvarnished_reader SET statement_timeout = '60s';
GRANT USAGE ON SCHEMA reporting TO unvarnished_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO unvarnished_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT SELECT ON TABLES TO unvarnished_reader;
