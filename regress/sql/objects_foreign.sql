-- Foreign-data wrappers, servers, user mappings and foreign tables are the same on every node; so are languages, access
-- methods and transforms.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv top PG_ABS_SRCDIR
\set helper :top /objects_on_nodes.psql
\set schemas foreign%
\i :helper
CREATE SCHEMA foreign_one;
CREATE ROLE foreign_owner LOGIN;
SET search_path = foreign_one;
CREATE FOREIGN DATA WRAPPER foreign_wrapper OPTIONS (a 'it''s');
CREATE SERVER foreign_server TYPE 'ty' VERSION 'v' FOREIGN DATA WRAPPER foreign_wrapper OPTIONS (host 'h', "odd name" 'x');
CREATE USER MAPPING FOR PUBLIC SERVER foreign_server OPTIONS ("user" 'u');
CREATE USER MAPPING FOR foreign_owner SERVER foreign_server;
CREATE FOREIGN TABLE "Foreign" (a int OPTIONS (col 'A') NOT NULL, b text COLLATE "C" DEFAULT 'b', CHECK (a > 0)) SERVER foreign_server OPTIONS (t 'tt');
CREATE LANGUAGE foreign_language HANDLER plpgsql_call_handler;
CREATE ACCESS METHOD foreign_method TYPE INDEX HANDLER bthandler;
CREATE ACCESS METHOD foreign_heap TYPE TABLE HANDLER heap_tableam_handler;
:difference;
ALTER FOREIGN DATA WRAPPER foreign_wrapper OPTIONS (SET a 'b', ADD c 'd');
ALTER FOREIGN DATA WRAPPER foreign_wrapper RENAME TO "foreign Wrapper";
ALTER SERVER foreign_server VERSION 'v2' OPTIONS (DROP host);
ALTER SERVER foreign_server OWNER TO foreign_owner;
ALTER USER MAPPING FOR PUBLIC SERVER foreign_server OPTIONS (SET "user" 'v', ADD password 'secret');
ALTER FOREIGN TABLE "Foreign" ADD COLUMN c int, ALTER COLUMN a OPTIONS (SET col 'AA'), OPTIONS (SET t 'uu');
ALTER FOREIGN TABLE "Foreign" RENAME COLUMN c TO cc;
ALTER FOREIGN TABLE "Foreign" OWNER TO foreign_owner;
ALTER LANGUAGE foreign_language OWNER TO foreign_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER "foreign Wrapper" TO foreign_owner;
GRANT USAGE ON FOREIGN SERVER foreign_server TO PUBLIC;
GRANT SELECT ON "Foreign" TO PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER "foreign Wrapper" IS 'w';
COMMENT ON SERVER foreign_server IS 's';
COMMENT ON FOREIGN TABLE "Foreign" IS 't';
COMMENT ON LANGUAGE foreign_language IS 'l';
COMMENT ON ACCESS METHOD foreign_method IS 'm';
:difference;
DROP USER MAPPING FOR foreign_owner SERVER foreign_server;
DROP USER MAPPING IF EXISTS FOR foreign_owner SERVER foreign_server;
DROP ACCESS METHOD foreign_heap;
DROP LANGUAGE foreign_language;
:difference;
DROP FOREIGN DATA WRAPPER "foreign Wrapper" CASCADE;
DROP ACCESS METHOD foreign_method;
DROP SCHEMA foreign_one CASCADE;
DROP ROLE foreign_owner;
:difference;
