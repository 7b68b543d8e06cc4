-- Errors of COPY: the line is the client's, names are the table's own, and nothing stays behind.
\set SHOW_CONTEXT never
SET client_min_messages TO warning;
DROP SCHEMA IF EXISTS copy_errors CASCADE;
CREATE SCHEMA copy_errors;
SET search_path TO copy_errors;
RESET client_min_messages;

CREATE TABLE plain (k int, n int NOT NULL CHECK (n < 1000), t text, CONSTRAINT one_of_each UNIQUE (k, n));
CREATE TABLE spread (LIKE plain INCLUDING ALL);
ALTER TABLE spread RENAME CONSTRAINT spread_k_n_key TO one_of_each_spread;
SELECT create_distributed_table('spread', 'k', shard_count => 4);

-- Runs the same COPY on both tables and shows every field of the two errors.
CREATE FUNCTION fail(command text, options text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	target text;
	message text; detail text; hint text; context text; schema_name text; table_name text;
	column_name text; constraint_name text; datatype text;
	kept bigint;
BEGIN
	FOREACH target IN ARRAY ARRAY['plain', 'spread'] LOOP
		BEGIN
			EXECUTE format('COPY %I FROM PROGRAM %L WITH (%s)', target, command, options);
			RETURN NEXT target || ': no error';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, schema_name = SCHEMA_NAME,
				table_name = TABLE_NAME, column_name = COLUMN_NAME, constraint_name = CONSTRAINT_NAME,
				datatype = PG_DATATYPE_NAME;
			RETURN NEXT format('%s %s | %s | %s | %s.%s.%s %s %s| %s', SQLSTATE, message, detail, hint,
				schema_name, table_name, column_name, constraint_name, datatype,
				left(split_part(context, E'\n', 1), 100));
		END;
	END LOOP;
	SELECT count(*) INTO kept FROM spread;
	IF kept > 0 THEN
		RETURN NEXT format('%s rows stayed', kept);
	END IF;
	TRUNCATE plain;
END $$;

-- a value of another type: in the distribution column, in another one
SELECT fail($$printf '1,1,a\n2,2,b\nx,3,c\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,a\n2,2,b\n3,y,c\n4,4,d\n'$$, 'FORMAT csv');
SELECT fail($$(seq 1 5000 | awk '{print $1 ",5,x"}'; echo 99999999999,1,x)$$, 'FORMAT csv');
SELECT fail($$(seq 1 5000 | awk '{print $1 ",5,x"}'; echo 1,zzz,x; seq 1 5000 | awk '{print $1 ",6,x"}')$$, 'FORMAT csv');
-- enough rows that some were written when it fails
SELECT fail($$(seq 1 200000 | awk '{print $1 ",5," sprintf("%0200d", $1)}'; echo 1,zzz,x)$$, 'FORMAT csv');
-- constraints
SELECT fail($$printf '1,1,a\n2,1000,b\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,a\n2,,b\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,a\n2,2,b\n1,1,c\n'$$, 'FORMAT csv');
SELECT fail($$(seq 1 3000 | awk '{print $1 ",5,x"}'; echo 7,5,x)$$, 'FORMAT csv');
-- no value to distribute by is none
SELECT fail($$printf ',2,a\n,,b\n'$$, 'FORMAT csv');
-- too few and too many fields
SELECT fail($$printf '1,1,a\n2,2\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,a\n2,2,b,c\n'$$, 'FORMAT csv');
SELECT fail($$printf '1\n'$$, 'FORMAT text');
SELECT fail($$printf '1\tx\n'$$, 'FORMAT text');
SELECT fail($$printf '\n'$$, 'FORMAT text');
-- line numbers with a header, and with rows of several lines
SELECT fail($$printf 'k,n,t\n1,1,a\n2,x,b\n'$$, 'FORMAT csv, HEADER');
SELECT fail($$printf '1,1,"a\nb\nc"\n2,2,"\n"\n3,x,"d\ne"\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,"a\nb\nc"\n1,1,"\n"\n'$$, 'FORMAT csv');
SELECT fail($$printf '1,1,"a\r\nb\r\nc"\r\n1,2,"\r\n"\r\n1,x,\r\n'$$, 'FORMAT csv');
SELECT fail($$printf '1\t1\ta\\\nb\\\nc\n1\t2\tx\n1\tx\ty\n'$$, 'FORMAT text');
-- parsed here, found wrong there
SELECT fail($$printf '1,1,a\n2,1001,b\n'$$, 'FORMAT csv, NULL ''x''');
COPY spread FROM PROGRAM $$printf '1,1,a\n2,1001,b\n'$$ WITH (FORMAT csv) WHERE k > 0;
COPY spread FROM PROGRAM $$printf '1,1,a\n2,x,b\n'$$ WITH (FORMAT csv) WHERE k > 0;
COPY spread (n, t) FROM PROGRAM $$printf '1,a\n1000,b\n'$$ CSV;
-- the statement itself
COPY spread (k, nothing) FROM PROGRAM 'true';
COPY spread (k, k) FROM PROGRAM 'true';
COPY spread (k, nothing) TO STDOUT;
COPY spread FROM '/nowhere/to/be/found';
COPY spread FROM PROGRAM 'true' WHERE nothing > 1;
COPY spread FROM PROGRAM 'true' WHERE k;
COPY spread FROM PROGRAM 'true' WHERE k IN (SELECT 1);
COPY spread FROM PROGRAM 'exit 7';
-- a statement time-out in the middle
SET statement_timeout TO '300ms';
COPY spread FROM PROGRAM 'echo 1,1,a; sleep 5' CSV;
RESET statement_timeout;
-- in a transaction: the savepoint saves what was before
BEGIN;
COPY spread FROM PROGRAM 'echo 1,1,a' CSV;
SAVEPOINT s;
COPY spread FROM PROGRAM 'echo 1,1,b' CSV;
ROLLBACK TO s;
COPY spread FROM PROGRAM 'echo 1,2,c' CSV;
COMMIT;
SELECT * FROM spread ORDER BY 1, 2;
-- reference tables fail on every node alike
CREATE TABLE everywhere (id int CONSTRAINT ids_once PRIMARY KEY, t text);
SELECT create_reference_table('everywhere');
COPY everywhere FROM PROGRAM 'echo 1,a; echo 1,b' CSV;
COPY everywhere FROM PROGRAM 'echo 1,a; echo x,b' CSV;
SELECT count(*) FROM everywhere;
-- foreign keys
CREATE TABLE child (k int, e int CONSTRAINT to_everywhere REFERENCES everywhere);
SELECT create_distributed_table('child', 'k');
COPY child FROM PROGRAM 'echo 1,1; echo 2,1' CSV;
SELECT count(*) FROM child;

SET client_min_messages TO warning;
DROP SCHEMA copy_errors CASCADE;
