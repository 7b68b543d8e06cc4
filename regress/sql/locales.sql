-- A database of another language beside the first one: case rules of i, order, and names that hold them. Each answer is
-- compared with a plain table's.
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT setting AS coordinator FROM pg_settings WHERE name = 'port' \gset
\getenv worker1 CIVITAS_WORKER_1_PORT
\getenv worker2 CIVITAS_WORKER_2_PORT
CREATE DATABASE civitas_turkish TEMPLATE template0 ENCODING 'UTF8' LOCALE 'tr_TR.UTF-8';
\c - - - :worker1
CREATE DATABASE civitas_turkish TEMPLATE template0 ENCODING 'UTF8' LOCALE 'tr_TR.UTF-8';
\c civitas_turkish
CREATE EXTENSION citus;
\c postgres - - :worker2
CREATE DATABASE civitas_turkish TEMPLATE template0 ENCODING 'UTF8' LOCALE 'tr_TR.UTF-8';
\c civitas_turkish
CREATE EXTENSION citus;
\c civitas_turkish - - :coordinator
SET client_min_messages = warning;
CREATE EXTENSION citus;
SELECT citus_set_coordinator_host('localhost', :coordinator);
SELECT citus_add_node('localhost', :worker1) > 0 AS added;
SELECT citus_add_node('localhost', :worker2) > 0 AS added;

CREATE TABLE p (k text PRIMARY KEY, v text, day date);
CREATE TABLE d (LIKE p INCLUDING ALL);
SELECT create_distributed_table('d', 'k', shard_count => 4);
INSERT INTO p SELECT word, word || ' title ' || word, date '2024-01-15' + 31 * i::int
	FROM unnest(ARRAY['ISPARTA', 'isparta', 'İzmir', 'izmir', 'ılgaz', 'Istanbul', 'istanbul', 'çay', 'Çay', 'cay', 'ş', 'zeytin'])
		WITH ORDINALITY words(word, i);
INSERT INTO d SELECT * FROM p;

SELECT array_agg(k ORDER BY k) FROM d;
SELECT array_agg(k ORDER BY k) FROM p;
SELECT k, upper(k), lower(k), initcap(v) FROM d ORDER BY k;
SELECT k, upper(k), lower(k), initcap(v) FROM d EXCEPT SELECT k, upper(k), lower(k), initcap(v) FROM p;
SELECT k FROM d WHERE upper(k) = upper('isparta');
SELECT k FROM p WHERE upper(k) = upper('isparta');
SELECT k FROM d WHERE k = lower('ISPARTA') OR k = upper('ısparta');
SELECT k FROM p WHERE k = lower('ISPARTA') OR k = upper('ısparta');
SELECT k FROM d WHERE k ILIKE 'I%' ORDER BY k;
SELECT k FROM p WHERE k ILIKE 'I%' ORDER BY k;
SELECT k FROM d WHERE k LIKE 'i%' ORDER BY k DESC;
SELECT k FROM d WHERE k > 'h' AND k < 'j' ORDER BY k;
SELECT k FROM p WHERE k > 'h' AND k < 'j' ORDER BY k;
SELECT min(k), max(k) FROM d;
SELECT min(k), max(k) FROM p;
SELECT lower(k) AS small, count(*) FROM d GROUP BY 1 ORDER BY 1 LIMIT 3;
SELECT lower(k) AS small, count(*) FROM p GROUP BY 1 ORDER BY 1 LIMIT 3;
-- What the database sets on this node.
ALTER DATABASE civitas_turkish SET lc_time = 'tr_TR.UTF-8';
\c
SET client_min_messages = warning;
SELECT string_agg(to_char(day, 'TMMonth'), ',' ORDER BY k) FROM d;
SELECT string_agg(to_char(day, 'TMMonth'), ',' ORDER BY k) FROM p;

-- Names without quotes are folded as ASCII, with quotes they stay; the shards' follow.
CREATE TABLE ITEMS (ID int PRIMARY KEY, "Iı" text, İI int);
SELECT create_distributed_table('ITEMS', 'id', shard_count => 4);
INSERT INTO ITEMS (ID, "Iı", İI) VALUES (1, 'a', 2), (2, 'b', 3);
SELECT ID, "Iı", İI FROM ITEMS ORDER BY ID;
UPDATE Items SET İI = 9 WHERE Id = 1;
CREATE INDEX ITEMS_IDX ON ITEMS (İI);
ALTER TABLE ITEMS ADD COLUMN TITLE text DEFAULT 'I';
SELECT * FROM items ORDER BY id;
CREATE TABLE "İÇİ" (ID int);
SELECT create_distributed_table('"İÇİ"', 'id', colocate_with => 'items');
INSERT INTO "İÇİ" SELECT id FROM items;
SELECT table_name, count(*) FROM citus_shards WHERE shard_name LIKE table_name::text || '\_%' OR shard_name LIKE '"İÇİ\_%' GROUP BY 1 ORDER BY 1;
TRUNCATE ITEMS;

-- Asked from a worker.
\c - - - :worker1
SELECT array_agg(k ORDER BY k) FROM d;
SELECT upper(k), to_char(day, 'TMMonth') FROM d WHERE k = 'izmir';
\c - - - :coordinator
SELECT count(*) FROM d;

\c postgres - - :worker1
DROP DATABASE civitas_turkish WITH (FORCE);
\c postgres - - :worker2
DROP DATABASE civitas_turkish WITH (FORCE);
\c postgres - - :coordinator
DROP DATABASE civitas_turkish WITH (FORCE);

-- A node whose operating system lacks a locale says so before anything is made. (Here it is one that no system has.)
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA lacking;
INSERT INTO pg_collation (oid, collname, collnamespace, collowner, collprovider, collisdeterministic, collencoding, collcollate, collctype)
SELECT 4294000000, 'nowhere', 'lacking'::regnamespace, collowner, collprovider, collisdeterministic, collencoding, 'xx_XX.utf8', 'xx_XX.utf8'
FROM pg_collation WHERE collname = 'de_DE' LIMIT 1;
CREATE TABLE lacking.texts (k int, v text COLLATE lacking.nowhere);
SELECT create_distributed_table('lacking.texts', 'k');
SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'lacking.texts'::regclass;
DROP TABLE lacking.texts;
DELETE FROM pg_collation WHERE oid = 4294000000;
DROP SCHEMA lacking;
RESET client_min_messages;
\set VERBOSITY default
