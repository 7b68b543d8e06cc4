-- Every option of COPY: the same input into a plain table and a distributed one gives the same rows.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS copy_formats CASCADE;
CREATE SCHEMA copy_formats;
SET search_path TO copy_formats;
RESET client_min_messages;

CREATE TABLE plain (k text, a text, b text);
CREATE TABLE spread (k text, a text, b text);
SELECT create_distributed_table('spread', 'k', shard_count => 4);

-- Loads the output of a shell command into both, says what each got and whether they differ.
CREATE FUNCTION load(command text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	results text[] := '{}';
	target text;
	loaded bigint;
	different bigint;
BEGIN
	TRUNCATE plain, spread;
	FOREACH target IN ARRAY ARRAY['plain', 'spread'] LOOP
		BEGIN
			EXECUTE format('COPY %I FROM PROGRAM %L WITH (%s)', target, command, options);
			GET DIAGNOSTICS loaded = ROW_COUNT;
			results := results || (loaded || ' rows');
		EXCEPTION WHEN OTHERS THEN
			results := results || (SQLSTATE || ' ' || replace(SQLERRM, target, 'plain'));
		END;
	END LOOP;
	SELECT count(*) INTO different FROM (
		(TABLE plain EXCEPT ALL TABLE spread) UNION ALL (TABLE spread EXCEPT ALL TABLE plain)) d;
	IF results[1] IS DISTINCT FROM results[2] OR different > 0 THEN
		RETURN format('DIFFERENT: %s / %s, %s rows differ', results[1], results[2], different);
	END IF;
	RETURN 'same: ' || results[1];
END $$;

-- text
SELECT load($$printf '1\ta\tb\n2\t\\N\t\n3\tx\\ty\tz\\\\\n'$$, 'FORMAT text');
SELECT load($$printf '1|a|b\n2|x\\|y|\\N\n'$$, $$DELIMITER '|'$$);
SELECT load($$printf '1\tnothing\tb\n2\t\\N\tnothing\n'$$, $$NULL 'nothing'$$);
SELECT load($$printf '1\ta\tb\r\n2\tc\td\r\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\tb\r2\tc\td\r'$$, 'FORMAT text');
SELECT load($$printf '1\ta\tb\n2\tc\td'$$, 'FORMAT text');
SELECT load($$printf '1\ta\\\nmore\tb\n2\tc\\\n\\\nd\te\n'$$, 'FORMAT text');
SELECT load($$printf '1\t\\x41\\102\\b\\f\\v\tb\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\tb\n\\.\n2\tignored\tignored\n'$$, 'FORMAT text');
SELECT load($$printf 'k\ta\tb\n1\tx\ty\n'$$, 'FORMAT text, HEADER');
SELECT load($$printf 'k\ta\tb\n1\tx\ty\n'$$, 'FORMAT text, HEADER match');
SELECT load($$printf 'k\ta\tc\n1\tx\ty\n'$$, 'FORMAT text, HEADER match');
SELECT load($$true$$, 'FORMAT text');
SELECT load($$printf '\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\tb\n\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\rb\tc\n2\ta\tb\n'$$, 'FORMAT text');
SELECT load($$printf '2\ta\tb\n1\ta\rb\tc\n'$$, 'FORMAT text');
SELECT load($$printf '2\ta\tb\r\n1\ta\nb\tc\r\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\n'$$, 'FORMAT text');
SELECT load($$printf '1\ta\tb\tc\n'$$, 'FORMAT text');

-- csv
SELECT load($$printf '1,a,b\n2,,""\n"3","x""y","z, z"\n'$$, 'FORMAT csv');
SELECT load($$printf '1,"line one\nline two\n\nline four",b\n2,c,d\n'$$, 'FORMAT csv');
SELECT load($$printf '1,"line one\r\nline two\r",b\r\n2,c,"d\n"\r\n'$$, 'FORMAT csv');
SELECT load($$printf '1,"line one\rline two",b\r2,c,"d\ne"\r'$$, 'FORMAT csv');
SELECT load($$printf '1;a;b\n2;"x;y";c\n'$$, $$FORMAT csv, DELIMITER ';'$$);
SELECT load($$printf "1,'a','it''s'\n"$$, $$FORMAT csv, QUOTE ''''$$);
SELECT load($$printf '1,"a\\"b","c\\\\d"\n'$$, $$FORMAT csv, ESCAPE '\'$$);
SELECT load($$printf '1,NULL,"NULL"\n'$$, $$FORMAT csv, NULL 'NULL'$$);
SELECT load($$printf '1,NULL,"NULL"\n'$$, $$FORMAT csv, NULL 'NULL', FORCE_NULL (b)$$);
SELECT load($$printf '1,NULL,"NULL"\n'$$, $$FORMAT csv, NULL 'NULL', FORCE_NOT_NULL (a, b)$$);
SELECT load($$printf ',a,b\n"",c,d\n'$$, 'FORMAT csv, FORCE_NOT_NULL (k)');
SELECT load($$printf 'k,a,b\n1,x,y\n'$$, 'FORMAT csv, HEADER true');
SELECT load($$printf '"k","a","b"\n1,x,y\n'$$, 'FORMAT csv, HEADER match');
SELECT load($$printf 'k,b,a\n1,x,y\n'$$, 'FORMAT csv, HEADER match');
SELECT left(load($$printf '1,a,b\n\\.\n2,c,d\n'$$, 'FORMAT csv'), 5); -- is data since 18
SELECT load($$printf '1,a,\\.\n\\.x,c,d\n'$$, 'FORMAT csv');
SELECT load($$printf '1,"unterminated,b\n'$$, 'FORMAT csv');
SELECT load($$printf '1,a\rb,c\n2,a,b\n'$$, 'FORMAT csv');
SELECT load($$printf '1,a\n'$$, 'FORMAT csv');
SELECT load($$printf '1,a,b,c\n'$$, 'FORMAT csv');

-- encodings: Latin-1 with accents, what does not exist in UTF-8, wide characters, names of options
SELECT load($$printf '\351t\351\tcaf\351\t\374ber\n'$$, $$ENCODING 'latin1'$$);
SELECT load($$printf 'na\303\257ve\t\346\227\245\346\234\254\t\360\237\220\230\n'$$, $$ENCODING 'utf8'$$);
SELECT load($$printf '1\t\377\376\tb\n'$$, $$ENCODING 'utf8'$$);
SELECT load($$printf '1\ta\tb\n2\tnul\000byte\tb\n'$$, 'FORMAT text');
SELECT load($$printf '\203\101\t\223\372\226\173\tb\n'$$, $$ENCODING 'sjis'$$);
SET client_encoding TO 'latin1';
SELECT load($$printf '\351t\351\tcaf\351\t\374ber\n'$$, 'FORMAT text');
SELECT load($$printf '\351t\351,"caf\351",\374ber\n'$$, 'FORMAT csv');
RESET client_encoding;

-- long fields
SELECT load($$for i in 1 2 3 4; do printf "$i,"; head -c 1000000 /dev/zero | tr '\0' x; echo ",$i"; done$$, 'FORMAT csv');

-- options that do not go together fail alike
SELECT left(load($$true$$, $$FORMAT text, QUOTE '"'$$), 11);
SELECT load($$true$$, $$FORMAT csv, DELIMITER ',,'$$);
SELECT load($$true$$, $$FORMAT csv, FORCE_NULL (nothing)$$);
SELECT load($$true$$, $$FORMAT nothing$$);
SELECT load($$exit 3$$, 'FORMAT text');

-- binary, there and back: the file of a plain table into a distributed one
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE typed (
	i int, big bigint, small smallint, n numeric, f float8, t text, c char(5), b bytea, d date,
	ts timestamptz, iv interval, u uuid, j json, jb jsonb, ip inet, arr int[], m mood, ms mood[], p pair,
	pos positive, r int4range, flag bool, cls regclass, bits bit varying, x xml, path point);
CREATE TABLE typed_spread (LIKE typed);
CREATE TABLE typed_back (LIKE typed);
SELECT create_distributed_table('typed_spread', 'i', shard_count => 4);
INSERT INTO typed SELECT i, i * 10000000000, i, i / 7.0, i / 3.0, 'text' || chr(9) || i || chr(10), 'c' || i,
	decode(lpad(i::text, 4, '0'), 'hex'), date '2024-01-01' + i, timestamptz '2024-01-01 12:00+00' + i * interval '1 hour',
	i * interval '1 day 1 second', md5(i::text)::uuid, json_build_object('i', i), jsonb_build_object('a b', i),
	inet '10.0.0.1' + i, ARRAY[i, NULL, i + 1], (enum_range(NULL::mood))[i % 3 + 1], ARRAY['ok', 'sad']::mood[],
	ROW(i, 'y"' || i)::pair, i, int4range(i, i + 5), i % 2 = 0, 'pg_class', B'101', '<a>&lt;</a>', point(i, -i)
	FROM generate_series(1, 50) i;
INSERT INTO typed (i) VALUES (1000);
-- (files of this server's data directory, where programs run, too)
SELECT current_setting('data_directory') || '/regress_copy.bin' AS bin, current_setting('data_directory') || '/regress_copy.csv' AS csv \gset
COPY typed TO :'bin' (FORMAT binary);
COPY typed_spread FROM :'bin' (FORMAT binary);
COPY typed_spread TO :'bin' (FORMAT binary);
COPY typed_back FROM :'bin' (FORMAT binary);
SELECT count(*) FROM (SELECT t::text FROM typed t EXCEPT ALL SELECT t::text FROM typed_back t) d;
SELECT count(*) FROM typed_back;
TRUNCATE typed_spread, typed_back;
COPY typed TO :'csv' CSV HEADER;
COPY typed_spread FROM :'csv' (FORMAT csv, HEADER match) WHERE i <> 25;
COPY typed_spread FROM :'csv' (FORMAT csv, HEADER match) WHERE i = 25;
COPY typed_spread TO :'csv' CSV HEADER;
COPY typed_back FROM :'csv' (FORMAT csv, HEADER match);
SELECT count(*) FROM (SELECT t::text FROM typed t EXCEPT ALL SELECT t::text FROM typed_back t) d;
SELECT count(*) FROM typed_back;
TRUNCATE typed_spread, typed_back;
COPY typed_spread FROM :'csv' CSV HEADER;
COPY typed_spread TO :'csv';
COPY typed_back FROM :'csv';
SELECT count(*) FROM (SELECT t::text FROM typed t EXCEPT ALL SELECT t::text FROM typed_back t) d;
SELECT count(*) FROM typed_back;
-- a client whose encoding is not the database's
SET client_encoding TO 'latin1';
COPY typed_spread (i, t) FROM PROGRAM $$printf '2000\tcaf\351\n'$$ WHERE i > 0;
RESET client_encoding;
SELECT t, length(t) FROM typed_spread WHERE i = 2000;
-- a backslash at the very end of the input means nothing
COPY typed_spread (i, t) FROM PROGRAM $$printf '2001\tends\\'$$;
SELECT t, length(t) FROM typed_spread WHERE i = 2001;
COPY typed_spread FROM PROGRAM 'echo garbage' (FORMAT binary);
COPY typed_spread FROM PROGRAM $$head -c 700 regress_copy.csv$$ (FORMAT binary);
COPY (SELECT 1) TO PROGRAM 'rm regress_copy.bin regress_copy.csv; cat > /dev/null';

-- names that need quotes, dropped columns, wide tables
CREATE TABLE "odd ""table""" (dropped int, "the key" int, "ünïcode, ""x""" text, gone text, "Select" text);
ALTER TABLE "odd ""table""" DROP COLUMN dropped;
SELECT create_distributed_table('"odd ""table"""', 'the key');
ALTER TABLE "odd ""table""" DROP COLUMN gone;
COPY "odd ""table""" FROM STDIN CSV;
1,a,b
2,c,
\.
COPY "odd ""table""" ("Select", "the key") FROM STDIN (FORMAT csv, FORCE_NULL ("Select"));
"",3
x,4
\.
SELECT * FROM "odd ""table""" ORDER BY 1;
COPY (SELECT * FROM "odd ""table""" WHERE "the key" = 1) TO STDOUT CSV HEADER;
DO $$ BEGIN
	EXECUTE (SELECT 'CREATE TABLE wide (' || string_agg('c' || i || ' int', ', ') || ')' FROM generate_series(1, 1000) i);
END $$;
SELECT create_distributed_table('wide', 'c500', shard_count => 4);
COPY wide FROM PROGRAM 'for r in 1 2 3; do seq -s , $r $((r + 999)); done' CSV;
SELECT c1, c500, c1000 FROM wide ORDER BY 1;
SELECT c1000 FROM wide WHERE c500 = 501;

SET client_min_messages TO warning;
DROP SCHEMA copy_formats CASCADE;
