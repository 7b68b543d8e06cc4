-- Text search objects are the same on every node, and used there.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas text_search%
\i :helper
CREATE SCHEMA text_search;
CREATE SCHEMA text_search_two;
CREATE ROLE text_search_owner LOGIN;
SET search_path = text_search;
SET citus.shard_count = 4;
CREATE TEXT SEARCH CONFIGURATION fr_na (COPY = french);
CREATE TEXT SEARCH CONFIGURATION bare (PARSER = "default");
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH TEMPLATE own_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY "Own" (TEMPLATE = own_template);
CREATE TEXT SEARCH PARSER own_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH CONFIGURATION of_parser (PARSER = own_parser);
ALTER TEXT SEARCH CONFIGURATION of_parser ADD MAPPING FOR asciiword, word WITH words, "Own";
:difference;
ALTER TEXT SEARCH CONFIGURATION fr_na ALTER MAPPING FOR word, asciiword WITH words, french_stem;
ALTER TEXT SEARCH CONFIGURATION fr_na ALTER MAPPING REPLACE words WITH "Own";
ALTER TEXT SEARCH CONFIGURATION fr_na DROP MAPPING FOR email;
ALTER TEXT SEARCH CONFIGURATION fr_na DROP MAPPING IF EXISTS FOR email;
ALTER TEXT SEARCH CONFIGURATION bare RENAME TO "Bare";
ALTER TEXT SEARCH CONFIGURATION "Bare" SET SCHEMA text_search_two;
ALTER TEXT SEARCH CONFIGURATION of_parser OWNER TO text_search_owner;
ALTER TEXT SEARCH DICTIONARY words (STOPWORDS = russian);
ALTER TEXT SEARCH DICTIONARY words RENAME TO "Words";
ALTER TEXT SEARCH DICTIONARY "Own" OWNER TO text_search_owner;
ALTER TEXT SEARCH PARSER own_parser RENAME TO "Parser";
ALTER TEXT SEARCH TEMPLATE own_template SET SCHEMA text_search_two;
COMMENT ON TEXT SEARCH CONFIGURATION fr_na IS 'fr';
COMMENT ON TEXT SEARCH DICTIONARY "Words" IS 'words';
COMMENT ON TEXT SEARCH PARSER "Parser" IS 'parser';
COMMENT ON TEXT SEARCH TEMPLATE text_search_two.own_template IS 'template';
:difference;
CREATE TABLE t (id int, name text);
SELECT create_distributed_table('t', 'id');
INSERT INTO t VALUES (1, 'les chats noirs');
SELECT id FROM t WHERE to_tsvector('fr_na', name) @@ to_tsquery('fr_na', 'chat');
CREATE INDEX ON t USING gin (to_tsvector('fr_na'::regconfig, name));
ALTER TABLE t ADD COLUMN tsv tsvector GENERATED ALWAYS AS (to_tsvector('text_search.fr_na'::regconfig, name)) STORED;
SELECT tsv FROM t WHERE id = 1;
-- before the table, and made while that was off
CREATE TABLE u (id int, name text);
CREATE INDEX ON u USING gin (to_tsvector('fr_na'::regconfig, name));
SELECT create_distributed_table('u', 'id');
SET citus.enable_metadata_sync = off;
CREATE TEXT SEARCH CONFIGURATION here (COPY = french);
SET citus.enable_metadata_sync = on;
INSERT INTO u VALUES (1, 'les chats noirs');
SELECT id FROM u WHERE to_tsvector('here', name) @@ to_tsquery('here', 'chat');
SELECT id FROM u WHERE id = 1 AND to_tsvector('here', name) @@ to_tsquery('here', 'chat');
CREATE INDEX ON u USING gin (to_tsvector('here'::regconfig, name));
:difference;
DROP TEXT SEARCH CONFIGURATION here CASCADE;
DROP TEXT SEARCH DICTIONARY "Words" CASCADE;
DROP TEXT SEARCH PARSER "Parser" CASCADE;
:difference;
DROP SCHEMA text_search, text_search_two CASCADE;
DROP ROLE text_search_owner;
:difference;
