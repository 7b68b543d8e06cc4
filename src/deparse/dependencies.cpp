/*
 * dependencies.cpp: what must exist on a node before a table can be created there.
 *
 * A depth-first walk of pg_depend from the table (and its defaults, constraints, indexes,
 * statistics, owned sequences); an object's command follows those of what it depends on. An
 * extension stands for all its members. Pinned objects are not in pg_depend, so the walk never
 * meets them. A type brings its default operator classes, which nothing depends on by the catalogs,
 * but which decide what is equal and how it is hashed. Each command first asks whether the object
 * is there, so it needs no rights where nothing is missing. What cannot be recreated from the
 * catalogs (base types, aggregates outside an extension) gives no command: creating the table then
 * fails with the node's own error.
 */
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::deparse {

namespace {

struct Walk
{
	pg::Vec<ObjectAddress> seen;
	Oid root = InvalidOid;
	List *commands = NIL;
	List *objects = NIL;
};
CIVITAS_SERVER_STATE(Walk);

/* How one class of objects is recreated: queries over {oid}. */
struct ObjectKind
{
	Oid class_id;
	const char *missing; /* SQL condition text: true where the object does not exist on the
							executing node */
	const char *create;	 /* SELECT of statements, in order */
	const char *grants; /* SELECT of GRANTs and REVOKEs that make its rights what they are here; may
						   be null */
};

constexpr ObjectKind KINDS[] = {
	{NamespaceRelationId,
	 "SELECT format('to_regnamespace(%L) IS NULL', quote_ident(nspname)) FROM pg_namespace WHERE "
	 "oid = {oid} "
	 "AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
	 R"(SELECT s FROM (SELECT 1, format('CREATE SCHEMA %I%s', nspname, CASE WHEN pg_has_role(nspowner, 'MEMBER')
			THEN ' AUTHORIZATION ' || quote_ident(pg_get_userbyid(nspowner)) ELSE '' END) FROM pg_namespace WHERE oid = {oid}) c(step, s))",
	 R"(SELECT 'REVOKE ALL ON SCHEMA ' || quote_ident(nspname) || ' FROM PUBLIC' FROM pg_namespace WHERE oid = {oid} AND nspacl IS NOT NULL
		UNION ALL SELECT format('GRANT %s ON SCHEMA %I TO %s%s', a.privilege_type, n.nspname,
			CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
			CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.oid = {oid} AND a.grantee <> n.nspowner)"},
	{ExtensionRelationId,
	 "SELECT format('NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = %L)', "
	 "extname) "
	 "FROM pg_extension WHERE oid = {oid} AND extname NOT IN ('citus', 'plpgsql')",
	 "SELECT format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I VERSION %L', e.extname, "
	 "n.nspname, e.extversion) "
	 "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid = {oid}",
	 nullptr},
	{CollationRelationId,
	 "SELECT format('to_regcollation(%L) IS NULL', format('%I.%I', n.nspname, c.collname)) "
	 "FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {oid}",
	 R"(SELECT format('CREATE COLLATION %I.%I (PROVIDER = %s, DETERMINISTIC = %s, %s)', n.nspname, c.collname,
			CASE c.collprovider WHEN 'i' THEN 'icu' ELSE 'libc' END,
			CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END,
			CASE WHEN to_jsonb(c) ->> 'colliculocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colliculocale')
				WHEN to_jsonb(c) ->> 'colllocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colllocale')
				ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END)
		FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {oid})",
	 nullptr},
	{TypeRelationId,
	 "SELECT format('to_regtype(%L) IS NULL', format('%I.%I', n.nspname, t.typname)) "
	 "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = "
	 "t.typrelid "
	 "WHERE t.oid = {oid} AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE TYPE %s AS ENUM (%s)', format_type({oid}, NULL),
			(SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = {oid}))
		FROM pg_type WHERE oid = {oid} AND typtype = 'e'
		UNION ALL SELECT 1, format('CREATE TYPE %s AS (%s)', format_type({oid}, NULL),
			(SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
				CASE WHEN a.attcollation <> x.typcollation THEN (SELECT format('COLLATE %I.%I', n.nspname, co.collname)
					FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace WHERE co.oid = a.attcollation) END),
				', ' ORDER BY a.attnum)
			FROM pg_attribute a JOIN pg_type x ON x.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
		FROM pg_type t WHERE t.oid = {oid} AND t.typtype = 'c'
		UNION ALL SELECT 1, concat_ws(' ', 'CREATE DOMAIN', format_type({oid}, NULL), 'AS', format_type(t.typbasetype, t.typtypmod),
			CASE WHEN t.typcollation <> b.typcollation THEN (SELECT format('COLLATE %I.%I', n.nspname, co.collname)
				FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace WHERE co.oid = t.typcollation) END,
			CASE WHEN t.typdefaultbin IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(t.typdefaultbin, 0) END,
			CASE WHEN t.typnotnull THEN 'NOT NULL' END,
			(SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' ORDER BY k.conname)
			FROM pg_constraint k WHERE k.contypid = {oid} AND k.contype = 'c' AND k.convalidated))
		FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype WHERE t.oid = {oid} AND t.typtype = 'd'
		UNION ALL SELECT 1, format('CREATE TYPE %s AS RANGE (%s)', format_type({oid}, NULL), concat_ws(', ',
			'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
			(SELECT format('SUBTYPE_OPCLASS = %I.%I', n.nspname, o.opcname) FROM pg_opclass o
				JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
			(SELECT format('COLLATION = %I.%I', n.nspname, co.collname) FROM pg_collation co
				JOIN pg_namespace n ON n.oid = co.collnamespace WHERE co.oid = r.rngcollation),
			(SELECT format('SUBTYPE_DIFF = %I.%I', n.nspname, p.proname) FROM pg_proc p
				JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = r.rngsubdiff::oid),
			'MULTIRANGE_TYPE_NAME = ' || format_type(r.rngmultitypid, NULL)))
		FROM pg_range r WHERE r.rngtypid = {oid}
		UNION ALL SELECT 2, format('ALTER TYPE %s OWNER TO %I', format_type({oid}, NULL), pg_get_userbyid(typowner))
		FROM pg_type WHERE oid = {oid} AND pg_has_role(typowner, 'MEMBER')) c(step, s) WHERE s IS NOT NULL ORDER BY step)",
	 R"(SELECT format('REVOKE ALL ON TYPE %s FROM PUBLIC', format_type({oid}, NULL)) FROM pg_type WHERE oid = {oid} AND typacl IS NOT NULL
		UNION ALL SELECT format('GRANT %s ON TYPE %s TO %s%s', a.privilege_type, format_type({oid}, NULL),
			CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
			CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_type t, aclexplode(t.typacl) a WHERE t.oid = {oid} AND a.grantee <> t.typowner)"},
	{ProcedureRelationId,
	 "SELECT format('to_regprocedure(%L) IS NULL', oid::regprocedure) FROM pg_proc WHERE oid = "
	 "{oid} AND prokind IN ('f', 'w')",
	 R"(SELECT s FROM (SELECT 1, pg_get_functiondef({oid})
		UNION ALL SELECT 2, format('ALTER FUNCTION %s OWNER TO %I', oid::regprocedure, pg_get_userbyid(proowner))
		FROM pg_proc WHERE oid = {oid} AND pg_has_role(proowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 R"(SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', oid::regprocedure) FROM pg_proc WHERE oid = {oid} AND proacl IS NOT NULL
		UNION ALL SELECT format('GRANT %s ON FUNCTION %s TO %s%s', a.privilege_type, p.oid::regprocedure,
			CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
			CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_proc p, aclexplode(p.proacl) a WHERE p.oid = {oid} AND a.grantee <> p.proowner)"},
	/* One that other operators name is a shell until it is made itself. */
	{OperatorRelationId,
	 "SELECT format('NOT EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oid "
	 "OPERATOR(pg_catalog.=) "
	 "pg_catalog.to_regoperator(%L) AND oprcode OPERATOR(pg_catalog.<>) 0::oid)', "
	 "oid::regoperator) FROM pg_operator WHERE oid = {oid}",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ',
			(SELECT format('FUNCTION = %I.%I', pn.nspname, p.proname) FROM pg_proc p JOIN pg_namespace pn ON pn.oid = p.pronamespace WHERE p.oid = o.oprcode),
			'LEFTARG = ' || format_type(nullif(o.oprleft, 0), NULL), 'RIGHTARG = ' || format_type(nullif(o.oprright, 0), NULL),
			(SELECT format('COMMUTATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprcom),
			(SELECT format('NEGATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprnegate),
			CASE WHEN o.oprrest <> 0 THEN 'RESTRICT = ' || o.oprrest::regproc END, CASE WHEN o.oprjoin <> 0 THEN 'JOIN = ' || o.oprjoin::regproc END,
			CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END))
		FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = {oid} AND o.oprcode <> 0
		UNION ALL SELECT 2, format('ALTER OPERATOR %s OWNER TO %I', oid::regoperator, pg_get_userbyid(oprowner))
		FROM pg_operator WHERE oid = {oid} AND oprcode <> 0 AND pg_has_role(oprowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 nullptr},
	{OperatorFamilyRelationId,
	 R"(SELECT format('NOT EXISTS (SELECT FROM pg_catalog.pg_opfamily f JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.opfnamespace
			JOIN pg_catalog.pg_am a ON a.oid OPERATOR(pg_catalog.=) f.opfmethod WHERE f.opfname OPERATOR(pg_catalog.=) %L
			AND n.nspname OPERATOR(pg_catalog.=) %L AND a.amname OPERATOR(pg_catalog.=) %L)', f.opfname, n.nspname, a.amname)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod WHERE f.oid = {oid})",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OPERATOR FAMILY %I.%I USING %I', n.nspname, f.opfname, a.amname)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod WHERE f.oid = {oid}
		UNION ALL SELECT 2, format('ALTER OPERATOR FAMILY %I.%I USING %I OWNER TO %I', n.nspname, f.opfname, a.amname, pg_get_userbyid(f.opfowner))
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod
		WHERE f.oid = {oid} AND pg_has_role(f.opfowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 nullptr},
	{OperatorClassRelationId,
	 R"(SELECT format('NOT EXISTS (SELECT FROM pg_catalog.pg_opclass f JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.opcnamespace
			JOIN pg_catalog.pg_am a ON a.oid OPERATOR(pg_catalog.=) f.opcmethod WHERE f.opcname OPERATOR(pg_catalog.=) %L
			AND n.nspname OPERATOR(pg_catalog.=) %L AND a.amname OPERATOR(pg_catalog.=) %L)', o.opcname, n.nspname, a.amname)
		FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod WHERE o.oid = {oid})",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OPERATOR CLASS %I.%I%s FOR TYPE %s USING %I FAMILY %I.%I AS %s', n.nspname, o.opcname,
			CASE WHEN o.opcdefault THEN ' DEFAULT' ELSE '' END, format_type(o.opcintype, NULL), a.amname, fn.nspname, f.opfname,
			concat_ws(', ',
				(SELECT string_agg(format('OPERATOR %s %s%s', m.amopstrategy, m.amopopr::regoperator, CASE WHEN m.amoppurpose = 'o' THEN
						(SELECT format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname) FROM pg_opfamily s JOIN pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily)
						ELSE '' END), ', ' ORDER BY m.amopstrategy)
					FROM pg_amop m WHERE m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype),
				(SELECT string_agg(format('FUNCTION %s (%s, %s) %s', m.amprocnum, format_type(m.amproclefttype, NULL), format_type(m.amprocrighttype, NULL),
						m.amproc::regprocedure), ', ' ORDER BY m.amprocnum)
					FROM pg_amproc m WHERE m.amprocfamily = o.opcfamily AND m.amproclefttype = o.opcintype AND m.amprocrighttype = o.opcintype),
				'STORAGE ' || format_type(nullif(o.opckeytype, 0), NULL)))
		FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod
			JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE o.oid = {oid}
		UNION ALL SELECT 2, format('ALTER OPERATOR CLASS %I.%I USING %I OWNER TO %I', n.nspname, o.opcname, a.amname, pg_get_userbyid(o.opcowner))
		FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod
		WHERE o.oid = {oid} AND pg_has_role(o.opcowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 nullptr},
};

void visit(Walk *walk, Oid class_id, Oid object_id);

char *fill(const char *query, Oid object_id)
{
	pg::Str out;
	for (const char *hole; (hole = strstr(query, "{oid}")) != nullptr; query = hole + 5)
		out.raw(query, static_cast<int>(hole - query)).oid(object_id);
	return out.raw(query).c_str();
}

/* Visits everything that pg_depend says the object rests on. */
void visit_references(Walk *walk, Oid class_id, Oid object_id)
{
	pg::Vec<ObjectAddress> references;
	ScanKeyData keys[2];
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class_id));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object_id));
	SysScanDesc scan = systable_beginscan(depend, DependDependerIndexId, true, nullptr, 2, keys);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		const auto *row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
		references.push({row->refclassid, row->refobjid, 0});
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	for (const ObjectAddress& reference : references)
		visit(walk, reference.classId, reference.objectId);
}

/* Objects that hang off the one given and bring dependencies of their own: "class oid" lines. */
constexpr const char *PARTS = R"(
	SELECT 'pg_attrdef'::regclass::oid || ' ' || oid FROM pg_attrdef WHERE adrelid = {oid}
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE conrelid = {oid} AND contype IN ('c', 'x')
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || indexrelid FROM pg_index WHERE indrelid = {oid}
	UNION ALL SELECT 'pg_statistic_ext'::regclass::oid || ' ' || oid FROM pg_statistic_ext WHERE stxrelid = {oid}
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || objid FROM pg_depend d JOIN pg_sequence ON seqrelid = objid
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid}
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || typrelid FROM pg_type t JOIN pg_class c ON c.oid = typrelid
		WHERE t.oid = {oid} AND c.relkind = 'c'
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE contypid = {oid}
)";

/* Default operator classes of a type, and, for those of the server that nothing visits, of columns' types. They need
 * the type. */
constexpr const char *OPERATOR_CLASSES = R"(
	SELECT 'pg_opclass'::regclass::oid || ' ' || o.oid FROM pg_opclass o WHERE o.opcdefault AND o.oid >= 16384 AND o.opcintype IN (
		SELECT {oid} UNION ALL SELECT typbasetype FROM pg_type WHERE oid = {oid}
		UNION ALL SELECT t FROM pg_attribute a JOIN pg_type x ON x.oid = a.atttypid, unnest(ARRAY[x.oid, x.typelem, x.typbasetype]) t
		WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped)
)";

/* What an operator class is made of, and what an operator names. */
constexpr const char *OPERATOR_PARTS = R"(
	SELECT 'pg_operator'::regclass::oid || ' ' || m.amopopr FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily
		AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype WHERE o.oid = {oid} AND m.amopopr >= 16384
	UNION ALL SELECT 'pg_proc'::regclass::oid || ' ' || m.amproc::oid FROM pg_opclass o JOIN pg_amproc m ON m.amprocfamily = o.opcfamily
		AND m.amproclefttype = o.opcintype AND m.amprocrighttype = o.opcintype WHERE o.oid = {oid} AND m.amproc::oid >= 16384
	UNION ALL SELECT 'pg_operator'::regclass::oid || ' ' || x FROM pg_operator o, unnest(ARRAY[o.oprcom, o.oprnegate]) x WHERE o.oid = {oid} AND x <> 0
)";

void visit_parts(Walk *walk, const char *parts, Oid object_id)
{
	List *lines = pg::sql_texts(fill(parts, object_id));
	ListCell *cell;
	foreach (cell, lines)
	{
		char *rest = nullptr;
		const Oid class_id = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		visit(walk, class_id, strtoul(rest, nullptr, 10));
	}
}

/* The command: does nothing on a node that has the object. */
void add_command(Walk *walk, const ObjectKind& kind, Oid object_id)
{
	const char *missing = pg::sql_text(fill(kind.missing, object_id));
	if (missing == nullptr)
		return;
	List *statements = pg::sql_texts(fill(kind.create, object_id));
	if (kind.grants != nullptr)
		statements = list_concat(statements, pg::sql_texts(fill(kind.grants, object_id)));
	pg::Str body;
	body.raw("BEGIN IF ").raw(missing).raw(" THEN ");
	ListCell *cell;
	foreach (cell, statements)
		body.raw("EXECUTE ").literal(static_cast<const char *>(lfirst(cell))).raw("; ");
	body.raw("END IF; END");
	pg::Str command;
	command.raw("DO ").literal(body.c_str());
	walk->commands = lappend(walk->commands, command.c_str());

	auto *address = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	ObjectAddressSet(*address, kind.class_id, object_id);
	walk->objects = lappend(walk->objects, address);
}

void visit(Walk *walk, Oid class_id, Oid object_id)
{
	for (const ObjectAddress& seen : walk->seen)
		if (seen.classId == class_id && seen.objectId == object_id)
			return;
	walk->seen.push({class_id, object_id, 0});

	if (class_id == RelationRelationId && object_id != walk->root)
	{
		/* Other tables are not ours to create; their sequences come with the table that owns them.
		 */
		const char kind = get_rel_relkind(object_id);
		if (kind != RELKIND_SEQUENCE && kind != RELKIND_INDEX &&
			kind != RELKIND_PARTITIONED_INDEX && kind != RELKIND_COMPOSITE_TYPE)
			return;
	}
	const Oid extension = getExtensionOfObject(class_id, object_id);
	if (OidIsValid(extension))
	{
		visit(walk, ExtensionRelationId, extension);
		return;
	}
	visit_references(walk, class_id, object_id);
	const bool has_columns =
		object_id == walk->root ||
		(class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_COMPOSITE_TYPE);
	if (object_id == walk->root || class_id == TypeRelationId)
		visit_parts(walk, PARTS, object_id);
	else if (class_id == OperatorClassRelationId || class_id == OperatorRelationId)
		visit_parts(walk, OPERATOR_PARTS, object_id);
	for (const ObjectKind& kind : KINDS)
		if (kind.class_id == class_id)
			add_command(walk, kind, object_id);
	if (has_columns || class_id == TypeRelationId)
		visit_parts(walk, OPERATOR_CLASSES, object_id);
}

} // namespace

List *dependency_commands(Oid relid, List **objects)
{
	Walk walk;
	walk.root = relid;
	visit(&walk, RelationRelationId, relid);
	if (objects != nullptr)
		*objects = walk.objects;
	return walk.commands;
}

List *schema_commands(Oid schema)
{
	Walk walk;
	add_command(&walk, KINDS[0], schema);
	static_assert(KINDS[0].class_id == NamespaceRelationId);
	return list_concat(walk.commands, pg::sql_texts(fill(KINDS[0].grants, schema)));
}

} // namespace civitas::deparse
