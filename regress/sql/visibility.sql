-- Shards are not in what clients read of the catalogs, whatever the query.
CREATE SCHEMA visibility;
SET search_path = visibility;
SET client_min_messages = warning;
CREATE TABLE r (k int PRIMARY KEY, v text);
SELECT create_reference_table('r');
CREATE TABLE plain_102008 (k int);
-- Each node has a shard, this one too: look for it as nodes do, and as clients do.
SELECT result AS tables_and_indexes FROM run_command_on_all_nodes(
	$$SELECT count(*) FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relname ~ '^r_' AND relkind IN ('r', 'i')$$);
\t on
\dt visibility.*
\di visibility.*
\t off
SELECT relname FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relkind IN ('r', 'i') ORDER BY 1;
SELECT tablename FROM pg_tables WHERE schemaname = 'visibility' ORDER BY 1;
SELECT table_name FROM information_schema.tables WHERE table_schema = 'visibility' ORDER BY 1;
-- Below the top level, and on the nullable side of a join: the row type of the shard stays, without its relation.
WITH c AS (SELECT oid FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relkind = 'r') SELECT count(*) FROM c;
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relkind = 'r');
SELECT 1 WHERE EXISTS (SELECT FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relname ~ '^r_[0-9]+$');
SELECT count(*) AS row_types, count(c.oid) AS relations FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = 'visibility'::regnamespace AND t.typtype = 'c' AND t.typname LIKE 'r%';
PREPARE relations AS SELECT count(*) FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relkind = $1;
EXECUTE relations('r');
-- Who asks for them sees them.
SET citus.show_shards_for_app_name_prefixes = '*';
SELECT relkind, count(*) FROM pg_class WHERE relnamespace = 'visibility'::regnamespace AND relkind IN ('r', 'i') GROUP BY 1 ORDER BY 1;
RESET citus.show_shards_for_app_name_prefixes;
-- By name they are there, for those who know it.
SELECT count(*) FROM run_command_on_shards('r', 'SELECT count(*) FROM %s') WHERE success;
DROP SCHEMA visibility CASCADE;
