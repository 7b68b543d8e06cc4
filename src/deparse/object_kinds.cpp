/*
 * object_kinds.cpp: see object_kinds.h. The queries run with search_path = pg_catalog.
 */
#include "civitas/deparse/object_kinds.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
CIVITAS_PG_END

namespace civitas::deparse {

namespace {

constexpr ObjectKind KINDS[] = {
	{NamespaceRelationId, "pg_namespace", "SCHEMA",
	 "SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = {oid} AND nspname !~ '^pg_' AND "
	 "nspname <> 'information_schema'",
	 "SELECT nspname FROM pg_namespace WHERE oid = {oid}",
	 "SELECT oid::text FROM pg_namespace WHERE nspname = {name}",
	 R"(SELECT s FROM (SELECT 1, format('CREATE SCHEMA %I', nspname) FROM pg_namespace WHERE oid = {oid}
		UNION ALL SELECT 2, format('ALTER SCHEMA %I OWNER TO %I', nspname, pg_get_userbyid(nspowner))
		FROM pg_namespace WHERE oid = {oid} AND pg_has_role(nspowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 R"(SELECT format('%s ON SCHEMA %I', a.privilege_type, x.nspname) || chr(1) || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
			|| chr(1) || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_namespace x, aclexplode(coalesce(x.nspacl, acldefault('n', x.nspowner))) a WHERE x.oid = {oid} AND a.grantee <> x.nspowner ORDER BY 1)"},
	{ExtensionRelationId, "pg_extension", "EXTENSION",
	 "SELECT quote_ident(extname) FROM pg_extension WHERE oid = {oid} AND extname NOT IN ('citus', "
	 "'plpgsql')",
	 "SELECT extname FROM pg_extension WHERE oid = {oid}",
	 "SELECT oid::text FROM pg_extension WHERE extname = {name}",
	 R"(SELECT s FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace, LATERAL (VALUES
			(1, format('CREATE EXTENSION %I WITH SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion)),
			(2, format('ALTER EXTENSION %I UPDATE TO %L', e.extname, e.extversion)),
			(3, format('ALTER EXTENSION %I SET SCHEMA %I', e.extname, n.nspname))) c(step, s) WHERE e.oid = {oid} ORDER BY step)",
	 nullptr},
	{CollationRelationId, "pg_collation", "COLLATION",
	 "SELECT format('%I.%I', n.nspname, c.collname) FROM pg_collation c JOIN pg_namespace n ON "
	 "n.oid = c.collnamespace WHERE c.oid = {oid}",
	 "SELECT collname FROM pg_collation WHERE oid = {oid}",
	 "SELECT to_regcollation({id})::oid::text",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE COLLATION %I.%I (PROVIDER = %s, DETERMINISTIC = %s, %s)', n.nspname, c.collname,
			CASE c.collprovider WHEN 'i' THEN 'icu' ELSE 'libc' END,
			CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END,
			CASE WHEN to_jsonb(c) ->> 'colliculocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colliculocale')
				WHEN to_jsonb(c) ->> 'colllocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colllocale')
				ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END)
		FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {oid}
		UNION ALL SELECT 2, format('ALTER COLLATION %I.%I OWNER TO %I', n.nspname, c.collname, pg_get_userbyid(c.collowner))
		FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {oid} AND pg_has_role(c.collowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 nullptr},
	{TypeRelationId, "pg_type", "TYPE",
	 "SELECT format('%I.%I', n.nspname, t.typname) "
	 "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = "
	 "t.typrelid "
	 "WHERE t.oid = {oid} AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')",
	 "SELECT typname FROM pg_type WHERE oid = {oid}", "SELECT to_regtype({id})::oid::text",
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
	 R"(SELECT format('%s ON TYPE %s', a.privilege_type, format_type(x.oid, NULL)) || chr(1) || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
			|| chr(1) || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_type x, aclexplode(coalesce(x.typacl, acldefault('T', x.typowner))) a WHERE x.oid = {oid} AND a.grantee <> x.typowner ORDER BY 1)"},
	/* Not to_regprocedure(), which fails where the type of an argument is missing. */
	{ProcedureRelationId, "pg_proc", "ROUTINE",
	 "SELECT oid::regprocedure::text FROM pg_proc WHERE oid = {oid} AND prokind IN ('f', 'w', 'p')",
	 "SELECT proname FROM pg_proc WHERE oid = {oid}",
	 "SELECT oid::text FROM pg_proc WHERE proname = {name} AND oid::regprocedure::text = {id}",
	 R"(SELECT s FROM (SELECT 1, pg_get_functiondef({oid})
		UNION ALL SELECT 2, format('ALTER ROUTINE %s OWNER TO %I', oid::regprocedure, pg_get_userbyid(proowner))
		FROM pg_proc WHERE oid = {oid} AND pg_has_role(proowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 R"(SELECT format('%s ON ROUTINE %s', a.privilege_type, x.oid::regprocedure) || chr(1) || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
			|| chr(1) || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_proc x, aclexplode(coalesce(x.proacl, acldefault('f', x.proowner))) a WHERE x.oid = {oid} AND a.grantee <> x.proowner ORDER BY 1)"},
	/* One that other operators name is a shell until it is made itself. */
	{OperatorRelationId, "pg_operator", "OPERATOR",
	 "SELECT oid::regoperator::text FROM pg_operator WHERE oid = {oid} AND oprcode <> 0",
	 "SELECT oprname FROM pg_operator WHERE oid = {oid}",
	 "SELECT oid::text FROM pg_operator WHERE oprname = {name} AND oprcode <> 0 AND "
	 "oid::regoperator::text = {id}",
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
	{OperatorFamilyRelationId, "pg_opfamily", "OPERATOR FAMILY",
	 "SELECT format('%I.%I USING %I', n.nspname, f.opfname, a.amname) FROM pg_opfamily f JOIN "
	 "pg_namespace n ON n.oid = f.opfnamespace "
	 "JOIN pg_am a ON a.oid = f.opfmethod WHERE f.oid = {oid}",
	 "SELECT opfname FROM pg_opfamily WHERE oid = {oid}",
	 "SELECT f.oid::text FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN "
	 "pg_am a ON a.oid = f.opfmethod "
	 "WHERE f.opfname = {name} AND format('%I.%I USING %I', n.nspname, f.opfname, a.amname) = {id}",
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OPERATOR FAMILY %I.%I USING %I', n.nspname, f.opfname, a.amname)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod WHERE f.oid = {oid}
		UNION ALL SELECT 2, format('ALTER OPERATOR FAMILY %I.%I USING %I OWNER TO %I', n.nspname, f.opfname, a.amname, pg_get_userbyid(f.opfowner))
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod
		WHERE f.oid = {oid} AND pg_has_role(f.opfowner, 'MEMBER')) c(step, s) ORDER BY step)",
	 nullptr},
	{OperatorClassRelationId, "pg_opclass", "OPERATOR CLASS",
	 "SELECT format('%I.%I USING %I', n.nspname, f.opcname, a.amname) FROM pg_opclass f JOIN "
	 "pg_namespace n ON n.oid = f.opcnamespace "
	 "JOIN pg_am a ON a.oid = f.opcmethod WHERE f.oid = {oid}",
	 "SELECT opcname FROM pg_opclass WHERE oid = {oid}",
	 "SELECT f.oid::text FROM pg_opclass f JOIN pg_namespace n ON n.oid = f.opcnamespace JOIN "
	 "pg_am a ON a.oid = f.opcmethod "
	 "WHERE f.opcname = {name} AND format('%I.%I USING %I', n.nspname, f.opcname, a.amname) = {id}",
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

} // namespace

std::span<const ObjectKind> object_kinds()
{
	return KINDS;
}

const ObjectKind *find_object_kind(Oid class_id)
{
	for (const ObjectKind& kind : KINDS)
		if (kind.class_id == class_id)
			return &kind;
	return nullptr;
}

char *fill_object_query(const char *query, Oid object_id)
{
	pg::Str out;
	for (const char *hole; (hole = strstr(query, "{oid}")) != nullptr; query = hole + 5)
		out.raw(query, static_cast<int>(hole - query)).oid(object_id);
	return out.raw(query).c_str();
}

} // namespace civitas::deparse
