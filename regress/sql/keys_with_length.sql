-- Distribution columns with a length, a precision, a domain or a collation of their own are recognised wherever a column is a key.
SET citus.next_shard_id TO 1942000;
SET citus.shard_count TO 4;
SET client_min_messages TO warning;
CREATE SCHEMA keys_with_length;
SET search_path TO keys_with_length;
CREATE DOMAIN code AS varchar(8);
CREATE DOMAIN short_code AS code CHECK (length(VALUE) < 7);
CREATE COLLATION by_language (provider = icu, locale = 'und', deterministic = true);
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- For each type of key: a table, one joined with it, and the same rows in plain tables.
CREATE TABLE kinds (no int, name text, type text, value text);
INSERT INTO kinds VALUES
(1, 'varchar', 'varchar(10)', '''v'' || i'),
(2, 'char', 'char(10)', '''c'' || i'),
(3, 'numeric', 'numeric(10,2)', 'i / 4.0'),
(4, 'ts', 'timestamp(3)', 'timestamp ''2020-01-01'' + i * interval ''1.5 s'''),
(5, 'tstz', 'timestamptz(0)', 'timestamptz ''2020-01-01 00:00+00'' + i * interval ''1 s'''),
(6, 'tm', 'time(2)', 'time ''10:00'' + i * interval ''1.25 s'''),
(9, 'span', 'interval(2)', 'i * interval ''0.25 s'''),
(10, 'dom', 'code', '''d'' || i'),
(11, 'dom2', 'short_code', '''e'' || i'),
(12, 'coll', 'varchar(10) COLLATE by_language', '''l'' || i'),
(13, 'nocase', 'varchar(10) COLLATE any_case', 'CASE i % 2 WHEN 0 THEN ''N'' ELSE ''n'' END || i / 2'),
(14, 'txt', 'text', '''t'' || i'),
(15, 'num', 'numeric', 'i / 4.0');
CREATE FUNCTION tiers(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^ *(Tier|Tasks):' THEN
			result := result || regexp_replace(line, '^ *\w+: ', '') || ' ';
		END IF;
	END LOOP;
	RETURN trim(result);
END $$;
CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(x::text, '' '' ORDER BY x::text) FROM (%s) x', query) INTO result;
	RETURN result;
END $$;
DO $$
DECLARE
	kind record;
BEGIN
	FOR kind IN SELECT * FROM kinds ORDER BY no LOOP
		EXECUTE format('CREATE TABLE a_%s (k %s, x int)', kind.name, kind.type);
		EXECUTE format('CREATE TABLE b_%s (k %s, y int)', kind.name, kind.type);
		PERFORM create_distributed_table('a_' || kind.name, 'k', colocate_with => 'none');
		PERFORM create_distributed_table('b_' || kind.name, 'k', colocate_with => 'a_' || kind.name);
		EXECUTE format('INSERT INTO a_%s SELECT %s, j FROM generate_series(1, 12) i, generate_series(1, 3) j', kind.name, kind.value);
		EXECUTE format('INSERT INTO b_%s SELECT %s, i FROM generate_series(4, 14) i', kind.name, kind.value);
		EXECUTE format('CREATE TABLE plain_a_%1$s AS SELECT * FROM a_%1$s', kind.name);
		EXECUTE format('CREATE TABLE plain_b_%1$s AS SELECT * FROM b_%1$s', kind.name);
	END LOOP;
END $$;

CREATE FUNCTION tried(query text) RETURNS TABLE (name text, tier text, other_on_plain text) LANGUAGE sql AS $$
	SELECT name, keys_with_length.tiers(replace(replace(query, '$A', 'a_' || name), '$B', 'b_' || name)),
		nullif(keys_with_length.rows_of(replace(replace(query, '$A', 'plain_a_' || name), '$B', 'plain_b_' || name)),
			   keys_with_length.rows_of(replace(replace(query, '$A', 'a_' || name), '$B', 'b_' || name)))
	FROM keys_with_length.kinds ORDER BY no
$$;
SELECT * FROM tried('SELECT lower(k::text), count(DISTINCT x) FROM $A GROUP BY k');
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT lower(k::text), string_agg(x::text, '','' ORDER BY x) FROM $A GROUP BY k, x % 2 HAVING count(DISTINCT x) > 0') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT DISTINCT lower(k::text) FROM $A') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT count(*), sum(x) FROM $A a JOIN $B b ON a.k = b.k') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT count(*), sum(y) FROM $A LEFT JOIN $B USING (k)') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT count(*) FROM $A a WHERE EXISTS (SELECT FROM $B b WHERE a.k = b.k AND y > 5)') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT count(*) FROM $A WHERE k IN (SELECT k FROM $B)') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT count(*) FROM $A a WHERE NOT EXISTS (SELECT FROM $B b WHERE a.k = b.k)') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT lower(a.k::text), count(DISTINCT y) FROM $A a JOIN $B b ON a.k = b.k GROUP BY a.k') GROUP BY tier ORDER BY tier;
SELECT tier, count(*), array_agg(other_on_plain) FILTER (WHERE other_on_plain IS NOT NULL) FROM tried('SELECT x, n FROM (SELECT x, row_number() OVER (PARTITION BY k ORDER BY x) AS n FROM $A) s WHERE n < x + 1000') GROUP BY tier ORDER BY tier;

-- One value, and a list of them.
SELECT tiers($$SELECT * FROM a_varchar WHERE k = 'v3'$$), tiers($$SELECT * FROM a_varchar WHERE k IN ('v3', 'v4')$$),
	   tiers($$SELECT * FROM a_char WHERE k = 'c3'$$), tiers($$SELECT * FROM a_char WHERE k IN ('c3', 'c4')$$),
	   tiers($$SELECT * FROM a_dom WHERE k IN ('d3', 'd4')$$), tiers($$SELECT * FROM a_numeric WHERE k IN (0.25, 0.5)$$),
	   tiers($$SELECT * FROM a_coll WHERE k IN ('l3', 'l4')$$), tiers($$SELECT * FROM a_nocase WHERE k IN ('n1', 'N2')$$);
SELECT count(*) FROM a_varchar WHERE k IN ('v3', 'v4', 'v5');
SELECT count(*) FROM a_char WHERE k IN ('c3', 'c4   ', 'c5');
SELECT count(*) FROM a_dom WHERE k IN ('d3', 'd4', 'd5');
SELECT count(*) FROM a_dom2 WHERE k = ANY (ARRAY['e3', 'e4', 'e5']);
SELECT count(*) FROM a_coll WHERE k = ANY ('{l3,l4,l5}');
SELECT count(*) FROM a_nocase WHERE k IN ('n1', 'N2');
SELECT count(*) FROM a_numeric WHERE k IN (0.25, 0.5, 0.750);
PREPARE p(text[]) AS SELECT count(*) FROM a_varchar WHERE k = ANY ($1);
SET plan_cache_mode TO force_generic_plan;
EXECUTE p('{v3,v4}');
EXECUTE p('{v5,NULL}');
EXECUTE p(NULL);
RESET plan_cache_mode;

-- What is not a key: another collation's equality, a value that is computed from the key.
SELECT tiers('SELECT k::text COLLATE any_case, count(DISTINCT x) FROM a_varchar GROUP BY 1') AS other_collation,
	   tiers('SELECT k COLLATE "C", count(DISTINCT x) FROM a_nocase GROUP BY 1') AS finer,
	   tiers('SELECT k::text, count(DISTINCT x) FROM a_varchar GROUP BY 1') AS relabelled,
	   tiers('SELECT k::varchar(2), count(DISTINCT x) FROM a_varchar GROUP BY 1') AS cut,
	   tiers('SELECT k::text, count(DISTINCT x) FROM a_char GROUP BY 1') AS trimmed,
	   tiers('SELECT k::numeric(10,1), count(DISTINCT x) FROM a_numeric GROUP BY 1') AS rounded;
INSERT INTO a_varchar SELECT upper(k), x + 10 FROM a_varchar;
INSERT INTO plain_a_varchar SELECT upper(k), x + 10 FROM plain_a_varchar;
SELECT rows_of('SELECT count(*), sum(n) FROM (SELECT k::text COLLATE any_case, count(DISTINCT x) n FROM a_varchar GROUP BY 1) x') =
	   rows_of('SELECT count(*), sum(n) FROM (SELECT k::text COLLATE any_case, count(DISTINCT x) n FROM plain_a_varchar GROUP BY 1) x') AS same;
SELECT rows_of('SELECT k COLLATE "C", count(DISTINCT x) FROM a_nocase GROUP BY 1') =
	   rows_of('SELECT k COLLATE "C", count(DISTINCT x) FROM plain_a_nocase GROUP BY 1') AS same;
SELECT rows_of('SELECT k::varchar(2), count(DISTINCT x) FROM a_varchar GROUP BY 1') =
	   rows_of('SELECT k::varchar(2), count(DISTINCT x) FROM plain_a_varchar GROUP BY 1') AS same;
SELECT rows_of('SELECT k::numeric(10,1), count(DISTINCT x) FROM a_numeric GROUP BY 1') =
	   rows_of('SELECT k::numeric(10,1), count(DISTINCT x) FROM plain_a_numeric GROUP BY 1') AS same;

-- Changes.
SELECT tiers('INSERT INTO b_varchar SELECT k, x FROM a_varchar'), tiers('INSERT INTO b_numeric SELECT k, x FROM a_numeric'),
	   tiers('UPDATE b_varchar b SET y = 0 FROM a_varchar a WHERE a.k = b.k'), tiers('DELETE FROM b_dom b USING a_dom a WHERE a.k = b.k');
UPDATE b_nocase b SET y = -1 FROM a_nocase a WHERE a.k = b.k;
UPDATE plain_b_nocase b SET y = -1 FROM plain_a_nocase a WHERE a.k = b.k;
SELECT rows_of('SELECT k, y FROM b_nocase') = rows_of('SELECT k, y FROM plain_b_nocase') AS same;

RESET search_path;
DROP SCHEMA keys_with_length CASCADE;
