/*
 * table_definition.cpp: a table's definition, read off the catalogs.
 *
 * Each part of the definition is one catalog query that returns finished statements, in order; the
 * queries run with search_path = pg_catalog (pg/sql_text.h), so every name in them comes out
 * qualified. In the queries {rel} stands for the table's oid and {shard} for whether the statements
 * are for a shard.
 *
 * A shell on another node differs from the coordinator's table in its sequences: bigint ones get
 * the node's own range (adjust_local_sequence), narrower ones, where no range would fit, are asked
 * of the coordinator through the column default. A shard has neither: rows reach it complete.
 */
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstring>
#include <span>

namespace civitas::deparse {

namespace {

/* Sequences that the table's defaults use or that its columns own; a bigint identity column makes
 * its own, and from 17 on its partitions have it, too. */
constexpr const char *SEQUENCE_SET = R"(
	pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
	JOIN pg_sequence q ON q.seqrelid = s.oid
	LEFT JOIN pg_depend o ON o.classid = 'pg_class'::regclass AND o.objid = s.oid
		AND o.refclassid = 'pg_class'::regclass AND o.refobjid = {rel} AND o.deptype IN ('a', 'i')
	LEFT JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
	WHERE (o.objid IS NOT NULL OR s.oid IN (
		SELECT d.refobjid FROM pg_depend d JOIN pg_attrdef e ON e.oid = d.objid
		WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
		AND e.adrelid = {rel}))
)";

constexpr const char *CREATE_SEQUENCES = R"(
	SELECT format('DO %L', format('BEGIN IF to_regclass(%L) IS NULL THEN CREATE SEQUENCE %I.%I AS %s INCREMENT BY %s '
		'MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s; '
		-- one that is there keeps its range, which is the node's own
		'ELSIF (SELECT pg_catalog.format(''%%s %%s %%s'', seqincrement, seqcache, seqcycle) FROM pg_catalog.pg_sequence '
		'WHERE seqrelid OPERATOR(pg_catalog.=) %1$L::pg_catalog.regclass) OPERATOR(pg_catalog.<>) %11$L THEN '
		'ALTER SEQUENCE %2$I.%3$I INCREMENT BY %5$s CACHE %9$s%12$s; END IF; END', format('%I.%I', n.nspname, s.relname),
		n.nspname, s.relname, format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax,
		q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END,
		format('%s %s %s', q.seqincrement, q.seqcache, q.seqcycle), CASE WHEN q.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END))
	FROM {sequences} AND NOT (coalesce(o.deptype, 'a') = 'i' AND a.atttypid = 'int8'::regtype)
	ORDER BY s.oid
)";

constexpr const char *OWN_SEQUENCES = R"(
	SELECT command FROM (
	SELECT s.oid, 1 AS step, format('ALTER SEQUENCE %I.%I OWNED BY {table}.%I', n.nspname, s.relname, a.attname) AS command
	FROM {sequences} AND o.objid IS NOT NULL AND NOT (o.deptype = 'i' AND a.atttypid = 'int8'::regtype)
	UNION ALL
	SELECT s.oid, 2, format('SELECT citus_internal.adjust_local_sequence(%L::regclass)', format('%I.%I', n.nspname, s.relname))
	FROM {sequences} AND q.seqtypid = 'int8'::regtype
	UNION ALL
	SELECT s.oid, 3, format('GRANT %s ON SEQUENCE %I.%I TO %s', x.privilege_type, s.nspname, s.relname,
		CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)
	FROM (SELECT s.oid, s.relname, s.relacl, s.relowner, n.nspname FROM {sequences}) s, aclexplode(s.relacl) x
	WHERE x.grantee <> s.relowner
	) commands ORDER BY step, oid, command
)";

/* Of the columns {columns}, which have neither default nor identity there yet. */
constexpr const char *SEQUENCE_COLUMNS = R"(
	SELECT format('ALTER TABLE {table} ALTER COLUMN %I %s', a.attname, x.what)
	FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	LEFT JOIN LATERAL (SELECT bool_or(q.seqtypid <> 'int8'::regtype) AS narrow FROM pg_depend p JOIN pg_sequence q ON q.seqrelid = p.refobjid
		WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass) uses ON true
	LEFT JOIN LATERAL (SELECT format('%I.%I', sn.nspname, sc.relname) AS name, q.*
		FROM pg_depend p JOIN pg_sequence q ON q.seqrelid = p.objid
		JOIN pg_class sc ON sc.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = sc.relnamespace
		WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
		AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i') own ON true
	CROSS JOIN LATERAL (
		SELECT 1 AS step, 'SET NOT NULL' AS what WHERE a.attnotnull
		UNION ALL SELECT 2, format('ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s)',
			CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, own.name, own.seqincrement, own.seqmin, own.seqmax,
			own.seqstart, own.seqcache, CASE WHEN own.seqcycle THEN ' CYCLE' ELSE '' END) WHERE a.attidentity <> '' AND a.atttypid = 'int8'::regtype
		UNION ALL SELECT 2, format('SET DEFAULT citus_internal.coordinator_nextval(%L::regclass)', own.name)
			WHERE a.attidentity <> '' AND a.atttypid <> 'int8'::regtype
		UNION ALL SELECT 2, 'SET DEFAULT ' || CASE WHEN uses.narrow THEN replace(pg_get_expr(d.adbin, d.adrelid),
			'nextval(', 'citus_internal.coordinator_nextval(') ELSE pg_get_expr(d.adbin, d.adrelid) END WHERE a.attidentity = '' AND d.adbin IS NOT NULL) x
	WHERE a.attrelid = {rel} AND a.attname = ANY (ARRAY[{columns}]::name[]) ORDER BY a.attnum, x.step
)";

constexpr const char *CREATE_TABLE = R"(
	SELECT format('CREATE %sTABLE {table} (%s)%s%s%s',
		CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END,
		concat_ws(', ', (
			SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
				CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END,
				CASE WHEN a.attcollation <> t.typcollation
					THEN (SELECT format('COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co
						JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
				CASE WHEN a.attgenerated <> '' THEN format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),
						CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
					WHEN {shard} AND (a.attidentity <> '' OR uses.sequence IS NOT NULL) THEN NULL
					-- the partition of a table with one gets it from there
					WHEN a.attidentity <> '' AND c.relispartition AND a.atttypid = 'int8'::regtype THEN NULL
					WHEN a.attidentity <> '' AND a.atttypid = 'int8'::regtype THEN format(
						'GENERATED %s AS IDENTITY (SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s)',
						CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
						own.name, own.seqincrement, own.seqmin, own.seqmax, own.seqstart, own.seqcache,
						CASE WHEN own.seqcycle THEN ' CYCLE' ELSE '' END)
					WHEN a.attidentity <> '' THEN format('DEFAULT citus_internal.coordinator_nextval(%L::regclass)', own.name)
					WHEN uses.narrow THEN 'DEFAULT ' || replace(pg_get_expr(d.adbin, d.adrelid),
						'nextval(', 'citus_internal.coordinator_nextval(')
					WHEN d.adbin IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
				CASE WHEN k.convalidated THEN format('CONSTRAINT %I NOT NULL%s', k.conname, CASE WHEN k.connoinherit THEN ' NO INHERIT' ELSE '' END)
					WHEN k.oid IS NULL AND a.attnotnull THEN 'NOT NULL' END), ', ' ORDER BY a.attnum)
			FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]
			LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			LEFT JOIN LATERAL (SELECT max(q.seqrelid::int8) AS sequence, bool_or(q.seqtypid <> 'int8'::regtype) AS narrow
				FROM pg_depend p JOIN pg_sequence q ON q.seqrelid = p.refobjid
				WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
				AND p.refclassid = 'pg_class'::regclass) uses ON true
			LEFT JOIN pg_attribute owner ON owner.attname = a.attname
				AND owner.attrelid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid) ELSE c.oid END
			LEFT JOIN LATERAL (SELECT format('%I.%I', sn.nspname, sc.relname) AS name, q.*
				FROM pg_depend p JOIN pg_sequence q ON q.seqrelid = p.objid
				JOIN pg_class sc ON sc.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = sc.relnamespace
				WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
				AND p.refobjid = owner.attrelid AND p.refobjsubid = owner.attnum AND p.deptype = 'i') own ON true
			WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
			(SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ', ' ORDER BY k.conname)
			FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated)),
		CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END,
		CASE WHEN c.relkind = 'r' THEN (SELECT ' USING ' || quote_ident(m.amname) FROM pg_am m WHERE m.oid = c.relam) ELSE '' END,
		CASE WHEN c.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL THEN ' WITH (' || (
			SELECT string_agg(format('%s%I=%L', o.prefix, split_part(o.item, '=', 1), substr(o.item, strpos(o.item, '=') + 1)), ', ')
			FROM (SELECT '' AS prefix, unnest(c.reloptions) AS item
				UNION ALL SELECT 'toast.', unnest(toast.reloptions)) o) || ')' ELSE '' END)
	FROM pg_class c LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid WHERE c.oid = {rel}
)";

/* Options whose names begin with pg_ are the server's own. */
constexpr const char *ALTER_COLUMNS = R"(
	SELECT format('ALTER TABLE ONLY {table} ALTER COLUMN %I SET %s', a.attname, x.what)
	FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid, LATERAL (
		SELECT 'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
			WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END WHERE a.attstorage <> t.typstorage
		UNION ALL SELECT 'STATISTICS ' || a.attstattarget WHERE a.attstattarget >= 0
		UNION ALL SELECT '(' || string_agg(format('%I=%L', split_part(o, '=', 1), split_part(o, '=', 2)), ', ') || ')'
			FROM unnest(a.attoptions) o WHERE o !~ '^pg_') x(what)
	WHERE a.attrelid = {rel} AND a.attnum > 0 AND NOT a.attisdropped AND x.what IS NOT NULL ORDER BY a.attnum
)";

constexpr const char *INDEXES = R"(
	SELECT CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
		ELSE format('ALTER TABLE {table} ADD CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)) END
	FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
	LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
	WHERE i.indrelid = {rel} AND (i.indisvalid OR c.relkind = 'p') ORDER BY i.indisprimary DESC, i.indexrelid
)";

/* Rows that are there already need not satisfy them. NOT NULL has its place in pg_constraint from 18
 * on. */
constexpr const char *UNVALIDATED_CHECKS = R"(
	SELECT format('ALTER TABLE {table} ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
	FROM pg_constraint WHERE conrelid = {rel} AND contype IN ('c', 'n') AND NOT convalidated ORDER BY conname
)";

/* What the definition of an index, or of the constraint that it backs, does not say. */
constexpr const char *INDEX_SETTINGS = R"(
	SELECT command FROM (
	SELECT i.indexrelid, 1 AS step, 0 AS attnum, format('ALTER INDEX %I.%I SET (%s)', n.nspname, x.relname, (
		SELECT string_agg(format('%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(x.reloptions) o)) AS command
	FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
	WHERE i.indrelid = {rel} AND i.indisvalid AND x.reloptions IS NOT NULL AND x.relkind = 'i'
		AND EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))
	UNION ALL
	SELECT i.indexrelid, 2, a.attnum, format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', n.nspname, x.relname, a.attnum, a.attstattarget)
	FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
	JOIN pg_attribute a ON a.attrelid = i.indexrelid
	WHERE i.indrelid = {rel} AND (i.indisvalid OR x.relkind = 'I') AND a.attstattarget >= 0
	UNION ALL
	SELECT i.indexrelid, 3, 0, format('ALTER TABLE ONLY {table} CLUSTER ON %I', x.relname)
	FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = {rel} AND i.indisvalid AND i.indisclustered
	) settings ORDER BY step, indexrelid, attnum
)";

constexpr const char *REPLICA_IDENTITY = R"(
	SELECT 'ALTER TABLE ONLY {table} REPLICA IDENTITY ' || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
		ELSE (SELECT 'USING INDEX ' || quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
			WHERE i.indrelid = c.oid AND i.indisreplident) END
	FROM pg_class c WHERE c.oid = {rel} AND c.relreplident <> 'd'
)";

constexpr const char *STATISTICS_OBJECTS = R"(
	SELECT x.command FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace CROSS JOIN LATERAL (
		SELECT 1 AS step, pg_get_statisticsobjdef(s.oid) AS command
		UNION ALL SELECT 2, format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget)
		WHERE s.stxstattarget >= 0) x
	WHERE s.stxrelid = {rel} ORDER BY s.oid, x.step
)";

constexpr const char *COMMENTS = R"(
	SELECT format('COMMENT ON %s IS %L', x.what, x.description) FROM (
		SELECT 1 AS step, 'TABLE {table}' AS what, obj_description({rel}, 'pg_class') AS description
		UNION ALL SELECT 2 + a.attnum, format('COLUMN {table}.%I', a.attname), col_description({rel}, a.attnum)
		FROM pg_attribute a WHERE a.attrelid = {rel} AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL SELECT 5000, format('INDEX %I.%I', n.nspname, c.relname), obj_description(c.oid, 'pg_class')
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indrelid = {rel}
		UNION ALL SELECT 9000, format('CONSTRAINT %I ON {table}', k.conname), obj_description(k.oid, 'pg_constraint')
		FROM pg_constraint k WHERE k.conrelid = {rel} AND k.contype <> 'f') x
	WHERE x.description IS NOT NULL ORDER BY x.step, x.what
)";

constexpr const char *OWNER = R"(
	SELECT 'ALTER TABLE {table} OWNER TO ' || quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = {rel}
)";

constexpr const char *GRANTS = R"(
	SELECT format('GRANT %s ON TABLE {table} TO %s%s', x.privilege,
		CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
		CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
	FROM (SELECT c.relowner, g.grantee, g.is_grantable, g.privilege_type AS privilege
		FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = {rel}
		UNION ALL SELECT c.relowner, g.grantee, g.is_grantable, format('%s (%I)', g.privilege_type, a.attname)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
		WHERE c.oid = {rel} AND NOT a.attisdropped) x
	WHERE x.grantee <> x.relowner ORDER BY 1
)";

/* A role that may insert some columns sends the defaults of the others to the shards as values. */
constexpr const char *DEFAULT_COLUMN_GRANTS = R"(
	SELECT format('GRANT INSERT (%s) ON TABLE {table} TO %s', columns, grantees) FROM
		(SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = {rel} AND attnum > 0
			AND NOT attisdropped AND attgenerated = '' AND (atthasdef OR attidentity <> '')) d(columns),
		(SELECT string_agg(DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, ', ')
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
			WHERE c.oid = {rel} AND NOT a.attisdropped AND g.privilege_type = 'INSERT' AND g.grantee <> c.relowner) r(grantees)
	WHERE columns IS NOT NULL AND grantees IS NOT NULL
)";

/* A shard has those that rows fire; partitions have their parent's from being attached. */
constexpr const char *TRIGGERS = R"(
	SELECT x.command FROM pg_trigger t CROSS JOIN LATERAL (
		SELECT 1 AS step, pg_get_triggerdef(t.oid) AS command
		UNION ALL SELECT 2, format('ALTER TABLE {table} %s TRIGGER %I', CASE t.tgenabled WHEN 'D' THEN 'DISABLE'
			WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname) WHERE t.tgenabled <> 'O') x
	WHERE t.tgrelid = {rel} AND NOT t.tgisinternal AND t.tgparentid = 0 AND (NOT {shard} OR t.tgtype & 1 = 1 OR t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL)
	ORDER BY t.oid, x.step
)";

/* Policies, which are the same for all that have the rights; what they are for is in force last. */
constexpr const char *POLICIES = R"(
	SELECT command FROM (
	SELECT 1 AS step, p.oid, format('CREATE POLICY %I ON {table} AS %s FOR %s TO %s%s%s', p.polname,
		CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
		CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
		(SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r),
		' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS command
	FROM pg_policy p WHERE p.polrelid = {rel}
	UNION ALL SELECT 2, oid, 'ALTER TABLE {table} ENABLE ROW LEVEL SECURITY' FROM pg_class WHERE oid = {rel} AND relrowsecurity
	) commands ORDER BY step, oid
)";

/* The owner, in whose name rows come into a new shard, is subject to the policies only then. */
constexpr const char *FORCED_POLICIES = R"(
	SELECT 'ALTER TABLE {table} FORCE ROW LEVEL SECURITY' FROM pg_class WHERE oid = {rel} AND relforcerowsecurity
)";

constexpr const char *RULES = R"(
	SELECT x.command FROM pg_rewrite r CROSS JOIN LATERAL (
		SELECT 1 AS step, pg_get_ruledef(r.oid) AS command
		UNION ALL SELECT 2, format('ALTER TABLE {table} %s RULE %I', CASE r.ev_enabled WHEN 'D' THEN 'DISABLE'
			WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, r.rulename) WHERE r.ev_enabled <> 'O') x
	WHERE r.ev_class = {rel} ORDER BY r.oid, x.step
)";

constexpr const char *FOREIGN_KEYS = R"(
	SELECT format('ALTER TABLE {table} ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
	FROM pg_constraint WHERE conrelid = {rel} AND contype = 'f' AND conparentid = 0 ORDER BY oid
)";

constexpr const char *ATTACH_PARTITION = R"(
	SELECT format('ALTER TABLE %I.%I ATTACH PARTITION {table} %s', n.nspname, p.relname, pg_get_expr(c.relpartbound, c.oid))
	FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
	JOIN pg_namespace n ON n.oid = p.relnamespace WHERE c.oid = {rel} AND c.relispartition
)";

/* Fills the holes of a query. */
char *fill(const char *query, Oid relid, bool shard, const char *table)
{
	pg::Str out;
	for (const char *p = query; *p != '\0';)
	{
		if (strncmp(p, "{rel}", 5) == 0)
		{
			out.oid(relid);
			p += 5;
		}
		else if (strncmp(p, "{shard}", 7) == 0)
		{
			out.boolean(shard);
			p += 7;
		}
		else if (strncmp(p, "{table}", 7) == 0)
		{
			out.raw(table);
			p += 7;
		}
		else if (strncmp(p, "{sequences}", 11) == 0)
		{
			out.raw(fill(SEQUENCE_SET, relid, shard, table));
			p += 11;
		}
		else
			out.ch(*p++);
	}
	return out.c_str();
}

/* The placeholder for the table's name inside the queries' texts; put in place after the query ran,
 * so that no name can be taken for SQL or for a format directive. A byte that cannot be part of a
 * name marks it. */
constexpr char TABLE_MARK[] = "\001table\001";

List *commands(const char *query, Oid relid, bool shard)
{
	const char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												   get_rel_name(relid));
	List *texts = pg::sql_texts(fill(query, relid, shard, TABLE_MARK));
	ListCell *cell;
	foreach (cell, texts)
	{
		const char *text = static_cast<const char *>(lfirst(cell));
		pg::Str out;
		for (const char *mark; (mark = strstr(text, TABLE_MARK)) != nullptr;
			 text = mark + sizeof(TABLE_MARK) - 1)
			out.raw(text, static_cast<int>(mark - text)).raw(table);
		out.raw(text);
		lfirst(cell) = out.c_str();
	}
	return texts;
}

List *definition(Oid relid, std::span<const char *const> queries, bool shard)
{
	List *all = NIL;
	for (const char *query : queries)
		all = list_concat(all, commands(query, relid, shard));
	return all;
}

} // namespace

List *shell_commands(Oid relid)
{
	static constexpr const char *parts[] = {CREATE_SEQUENCES,
											CREATE_TABLE,
											OWN_SEQUENCES,
											ALTER_COLUMNS,
											UNVALIDATED_CHECKS,
											INDEXES,
											INDEX_SETTINGS,
											REPLICA_IDENTITY,
											OWNER,
											STATISTICS_OBJECTS,
											COMMENTS,
											GRANTS,
											TRIGGERS,
											POLICIES,
											FORCED_POLICIES,
											RULES};
	return definition(relid, parts, false);
}

List *shard_commands(Oid relid)
{
	static constexpr const char *parts[] = {
		CREATE_TABLE,	ALTER_COLUMNS,		   UNVALIDATED_CHECKS, INDEXES,
		INDEX_SETTINGS, REPLICA_IDENTITY,	   STATISTICS_OBJECTS, OWNER,
		GRANTS,			DEFAULT_COLUMN_GRANTS, POLICIES,		   TRIGGERS,
		FORCED_POLICIES};
	return definition(relid, parts, true);
}

List *shard_table_commands(Oid relid)
{
	static constexpr const char *parts[] = {CREATE_TABLE, ALTER_COLUMNS,		 OWNER,
											GRANTS,		  DEFAULT_COLUMN_GRANTS, POLICIES};
	return definition(relid, parts, true);
}

List *shard_index_commands(Oid relid)
{
	static constexpr const char *parts[] = {UNVALIDATED_CHECKS, INDEXES, INDEX_SETTINGS,
											REPLICA_IDENTITY, STATISTICS_OBJECTS};
	return definition(relid, parts, true);
}

char *default_column_grant(Oid relid)
{
	List *texts = commands(DEFAULT_COLUMN_GRANTS, relid, true);
	return texts == NIL ? nullptr : static_cast<char *>(linitial(texts));
}

List *sequence_column_commands(Oid relid, List *columns)
{
	pg::Str names;
	ListCell *cell;
	foreach (cell, columns)
		names.raw(names.empty() ? "" : ", ").literal(static_cast<const char *>(lfirst(cell)));
	pg::Str query;
	const char *hole = strstr(SEQUENCE_COLUMNS, "{columns}");
	query.raw(SEQUENCE_COLUMNS, static_cast<int>(hole - SEQUENCE_COLUMNS)).raw(names.c_str());
	query.raw(hole + strlen("{columns}"));
	List *all = commands(CREATE_SEQUENCES, relid, false);
	all = list_concat(all, commands(query.c_str(), relid, false));
	return list_concat(all, commands(OWN_SEQUENCES, relid, false));
}

List *shard_guard_commands(Oid relid)
{
	static constexpr const char *parts[] = {TRIGGERS, FORCED_POLICIES};
	return definition(relid, parts, true);
}

List *foreign_key_commands(Oid relid)
{
	return commands(FOREIGN_KEYS, relid, false);
}

char *attach_partition_command(Oid relid)
{
	List *texts = commands(ATTACH_PARTITION, relid, false);
	return texts == NIL ? nullptr : static_cast<char *>(linitial(texts));
}

} // namespace civitas::deparse
