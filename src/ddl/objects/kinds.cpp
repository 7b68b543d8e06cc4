/*
 * kinds.cpp: see kinds.h. The queries run with search_path = pg_catalog.
 */
#include "kinds.h"

#include "civitas/pg/sql_text.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_conversion.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::ddl {

namespace {

/* clang-format off: a query is easier to read as one. */
constexpr ObjectKind KINDS[] = {
	{"schema", NamespaceRelationId, "pg_namespace", "SCHEMA", "nspname",
	 R"(x.nspname !~ '^pg_' AND x.nspname <> 'information_schema' AND x.nspname !~ '^citus(_internal)?$')",
	 nullptr, R"(SELECT format('CREATE SCHEMA %I', nspname) FROM pg_namespace WHERE oid = {oid})",
	 "nspowner", "nspacl", "n", "SCHEMA", nullptr, Change::Replace, false},
	{"extension", ExtensionRelationId, "pg_extension", "EXTENSION", "extname",
	 "x.extname NOT IN ('citus', 'plpgsql')", nullptr,
	 R"(SELECT s FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace, LATERAL (VALUES
			(1, format('CREATE EXTENSION %I WITH SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion)),
			(2, format('ALTER EXTENSION %I UPDATE TO %L', e.extname, e.extversion)),
			(3, format('ALTER EXTENSION %I SET SCHEMA %I', e.extname, n.nspname))) c(step, s) WHERE e.oid = {oid} ORDER BY step)",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Steps, false},
	{"collation", CollationRelationId, "pg_collation", "COLLATION", "collname", "true", nullptr,
	 R"(SELECT format('CREATE COLLATION %I.%I (PROVIDER = %s, DETERMINISTIC = %s, %s%s)', n.nspname, c.collname,
			CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
			CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END,
			CASE WHEN to_jsonb(c) ->> 'colliculocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colliculocale')
				WHEN to_jsonb(c) ->> 'colllocale' IS NOT NULL THEN format('LOCALE = %L', to_jsonb(c) ->> 'colllocale')
				ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END,
			CASE WHEN to_jsonb(c) ->> 'collicurules' IS NOT NULL THEN format(', RULES = %L', to_jsonb(c) ->> 'collicurules') ELSE '' END)
		FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {oid})",
	 "collowner", nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	/* What functions that read and write a type are made with. */
	{"type shell", TypeRelationId, "pg_type", "TYPE", "typname", "x.typtype IN ('b', 'p')", nullptr,
	 "SELECT format('CREATE TYPE %s', format_type({oid}, NULL))", nullptr, nullptr, nullptr,
	 nullptr, nullptr, Change::Shell, true},
	{"undefined type", TypeRelationId, "pg_type", "TYPE", "typname",
	 "x.typtype = 'p' AND NOT x.typisdefined", nullptr,
	 "SELECT format('CREATE TYPE %s', format_type({oid}, NULL))", nullptr, nullptr, nullptr,
	 nullptr, nullptr, Change::Replace, true},
	{"type", TypeRelationId, "pg_type", "TYPE", "typname",
	 R"((x.typtype IN ('e', 'd', 'r') OR x.typtype = 'c' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = x.typrelid AND c.relkind <> 'c')))",
	 nullptr,
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
		UNION ALL SELECT 2, format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', format_type({oid}, NULL), k.conname, pg_get_constraintdef(k.oid))
		FROM pg_constraint k WHERE k.contypid = {oid} AND k.contype = 'c' AND NOT k.convalidated
		UNION ALL SELECT 3, format('COMMENT ON CONSTRAINT %I ON DOMAIN %s IS %L', k.conname, format_type({oid}, NULL), obj_description(k.oid, 'pg_constraint'))
		FROM pg_constraint k WHERE k.contypid = {oid} AND obj_description(k.oid, 'pg_constraint') IS NOT NULL
		UNION ALL SELECT 3, format('COMMENT ON COLUMN %s.%I IS %L', t.typrelid::regclass, a.attname, col_description(t.typrelid, a.attnum))
		FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid WHERE t.oid = {oid} AND t.typtype = 'c' AND col_description(t.typrelid, a.attnum) IS NOT NULL) c(step, s)
		WHERE s IS NOT NULL ORDER BY step, s)",
	 "typowner", "typacl", "T", "TYPE",
	 R"(
	SELECT 'pg_class'::regclass::oid || ' ' || typrelid FROM pg_type t JOIN pg_class c ON c.oid = typrelid WHERE t.oid = {oid} AND c.relkind = 'c'
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE contypid = {oid}
)",
	 Change::Replace, false},
	{"base type", TypeRelationId, "pg_type", "TYPE", "typname",
	 R"(x.typtype = 'b' AND x.typisdefined AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = x.oid))",
	 nullptr,
	 R"(SELECT format('CREATE TYPE %s (%s)', format_type({oid}, NULL), concat_ws(', ', 'INPUT = ' || t.typinput, 'OUTPUT = ' || t.typoutput,
			'RECEIVE = ' || nullif(t.typreceive::oid, 0)::regproc, 'SEND = ' || nullif(t.typsend::oid, 0)::regproc,
			'TYPMOD_IN = ' || nullif(t.typmodin::oid, 0)::regproc, 'TYPMOD_OUT = ' || nullif(t.typmodout::oid, 0)::regproc,
			'ANALYZE = ' || nullif(t.typanalyze::oid, 0)::regproc,
			'SUBSCRIPT = ' || CASE WHEN t.typelem = 0 THEN nullif(t.typsubscript::oid, 0)::regproc END,
			'INTERNALLENGTH = ' || CASE WHEN t.typlen > 0 THEN t.typlen::text ELSE 'VARIABLE' END, CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END,
			'ALIGNMENT = ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'd' THEN 'double' ELSE 'int4' END,
			'STORAGE = ' || CASE t.typstorage WHEN 'x' THEN 'extended' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'plain' END,
			format('CATEGORY = %L, PREFERRED = %s, DELIMITER = %L, COLLATABLE = %s', t.typcategory, t.typispreferred::text, t.typdelim, (t.typcollation <> 0)::text),
			'DEFAULT = ' || quote_literal(t.typdefault), 'ELEMENT = ' || format_type(nullif(t.typelem, 0), NULL)))
		FROM pg_type t WHERE t.oid = {oid})",
	 "typowner", "typacl", "T", "TYPE", nullptr, Change::Replace, false},
	/* The server writes a parameter without a name as "" in a body that is parsed already. */
	{"routine", ProcedureRelationId, "pg_proc", "ROUTINE", "proname", "x.prokind <> 'a'", nullptr,
	 R"(SELECT CASE WHEN p.prosqlbody IS NOT NULL AND cardinality(array_positions(p.proargnames, '')) = 1
			THEN regexp_replace(pg_get_functiondef(p.oid), '(^|[\s(,]){1}(' || regexp_replace(quote_ident(p.proname), '([^[:alnum:]_])', '\\\1', 'g') || '\.)?""(?=[\s),;:]|$)',
				'\1$' || array_position(p.proargnames, ''), 'g')
			ELSE pg_get_functiondef(p.oid) END FROM pg_proc p WHERE p.oid = {oid})",
	 "proowner", "proacl", "f", "ROUTINE", nullptr, Change::InPlace, false},
	{"aggregate", ProcedureRelationId, "pg_proc", "ROUTINE", "proname", "x.prokind = 'a'", nullptr,
	 R"(SELECT format('CREATE OR REPLACE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname, coalesce(nullif(pg_get_function_arguments(p.oid), ''), '*'), concat_ws(', ',
			'SFUNC = ' || a.aggtransfn, 'STYPE = ' || format_type(a.aggtranstype, NULL), 'SSPACE = ' || nullif(a.aggtransspace, 0),
			'FINALFUNC = ' || nullif(a.aggfinalfn::oid, 0)::regproc, CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
			'FINALFUNC_MODIFY = ' || CASE WHEN a.aggfinalfn::oid <> 0 THEN CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
			'COMBINEFUNC = ' || nullif(a.aggcombinefn::oid, 0)::regproc,
			'SERIALFUNC = ' || nullif(a.aggserialfn::oid, 0)::regproc, 'DESERIALFUNC = ' || nullif(a.aggdeserialfn::oid, 0)::regproc, 'INITCOND = ' || quote_literal(a.agginitval),
			'MSFUNC = ' || nullif(a.aggmtransfn::oid, 0)::regproc, 'MINVFUNC = ' || nullif(a.aggminvtransfn::oid, 0)::regproc,
			'MSTYPE = ' || format_type(nullif(a.aggmtranstype, 0), NULL), 'MSSPACE = ' || nullif(a.aggmtransspace, 0),
			'MFINALFUNC = ' || nullif(a.aggmfinalfn::oid, 0)::regproc, CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
			'MFINALFUNC_MODIFY = ' || CASE WHEN a.aggmfinalfn::oid <> 0 THEN CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
			'MINITCOND = ' || quote_literal(a.aggminitval),
			(SELECT format('SORTOP = OPERATOR(%I.%s)', sn.nspname, o.oprname) FROM pg_operator o JOIN pg_namespace sn ON sn.oid = o.oprnamespace WHERE o.oid = a.aggsortop),
			'PARALLEL = ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END,
			CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END))
		FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = {oid})",
	 "proowner", "proacl", "f", "ROUTINE", nullptr, Change::InPlace, false},
	/* One that other operators name is a shell until it is made itself. */
	{"operator", OperatorRelationId, "pg_operator", "OPERATOR", "oprname", "x.oprcode <> 0",
	 nullptr,
	 R"(SELECT format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ',
			(SELECT format('FUNCTION = %I.%I', pn.nspname, p.proname) FROM pg_proc p JOIN pg_namespace pn ON pn.oid = p.pronamespace WHERE p.oid = o.oprcode),
			'LEFTARG = ' || format_type(nullif(o.oprleft, 0), NULL), 'RIGHTARG = ' || format_type(nullif(o.oprright, 0), NULL),
			(SELECT format('COMMUTATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprcom),
			(SELECT format('NEGATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace cn ON cn.oid = c.oprnamespace WHERE c.oid = o.oprnegate),
			CASE WHEN o.oprrest <> 0 THEN 'RESTRICT = ' || o.oprrest::regproc END, CASE WHEN o.oprjoin <> 0 THEN 'JOIN = ' || o.oprjoin::regproc END,
			CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END))
		FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = {oid} AND o.oprcode <> 0)",
	 "oprowner", nullptr, nullptr, nullptr,
	 R"(
	SELECT 'pg_operator'::regclass::oid || ' ' || x FROM pg_operator o, unnest(ARRAY[o.oprcom, o.oprnegate]) x WHERE o.oid = {oid} AND x <> 0
)",
	 Change::Replace, false},
	{"operator family", OperatorFamilyRelationId, "pg_opfamily", "OPERATOR FAMILY", "opfname",
	 "true", nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OPERATOR FAMILY %I.%I USING %I', n.nspname, f.opfname, a.amname)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod WHERE f.oid = {oid}
		UNION ALL SELECT 2, format('ALTER OPERATOR FAMILY %I.%I USING %I ADD OPERATOR %s %s%s', n.nspname, f.opfname, a.amname, m.amopstrategy, m.amopopr::regoperator,
			CASE WHEN m.amoppurpose = 'o' THEN (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname) FROM pg_opfamily s JOIN pg_namespace sn ON sn.oid = s.opfnamespace
				WHERE s.oid = m.amopsortfamily) ELSE '' END)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod JOIN pg_amop m ON m.amopfamily = f.oid
		WHERE f.oid = {oid} AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opfamily'::regclass)
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opclass'::regclass)
			AND NOT EXISTS (SELECT FROM pg_opclass o WHERE o.opcfamily = f.oid AND o.opcintype = m.amoplefttype AND o.opcintype = m.amoprighttype)
		UNION ALL SELECT 3, format('ALTER OPERATOR FAMILY %I.%I USING %I ADD FUNCTION %s (%s, %s) %s', n.nspname, f.opfname, a.amname, m.amprocnum,
			format_type(m.amproclefttype, NULL), format_type(m.amprocrighttype, NULL), m.amproc::regprocedure)
		FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod JOIN pg_amproc m ON m.amprocfamily = f.oid
		WHERE f.oid = {oid} AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opfamily'::regclass)
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opclass'::regclass)
			AND NOT EXISTS (SELECT FROM pg_opclass o WHERE o.opcfamily = f.oid AND o.opcintype = m.amproclefttype AND o.opcintype = m.amprocrighttype)) c(step, s)
		ORDER BY step, s)",
	 "opfowner", nullptr, nullptr, nullptr,
	 R"(
	SELECT 'pg_operator'::regclass::oid || ' ' || m.amopopr FROM pg_amop m WHERE m.amopfamily = {oid} AND m.amopopr >= 16384
		AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opfamily'::regclass)
	UNION ALL SELECT 'pg_proc'::regclass::oid || ' ' || m.amproc::oid FROM pg_amproc m WHERE m.amprocfamily = {oid} AND m.amproc::oid >= 16384
		AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_opfamily'::regclass)
)",
	 Change::Replace, false},
	{"operator class", OperatorClassRelationId, "pg_opclass", "OPERATOR CLASS", "opcname", "true",
	 nullptr,
	 R"(SELECT format('CREATE OPERATOR CLASS %I.%I%s FOR TYPE %s USING %I FAMILY %I.%I AS %s', n.nspname, o.opcname,
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
			JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE o.oid = {oid})",
	 "opcowner", nullptr, nullptr, nullptr,
	 R"(
	SELECT 'pg_operator'::regclass::oid || ' ' || m.amopopr FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily
		AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype WHERE o.oid = {oid} AND m.amopopr >= 16384
	UNION ALL SELECT 'pg_proc'::regclass::oid || ' ' || m.amproc::oid FROM pg_opclass o JOIN pg_amproc m ON m.amprocfamily = o.opcfamily
		AND m.amproclefttype = o.opcintype AND m.amprocrighttype = o.opcintype WHERE o.oid = {oid} AND m.amproc::oid >= 16384
)",
	 Change::Replace, false},
	{"cast", CastRelationId, "pg_cast", "CAST", nullptr, "x.oid >= 16384", nullptr,
	 R"(SELECT format('CREATE CAST (%s AS %s) %s%s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL),
			CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
			CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END) FROM pg_cast c WHERE c.oid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"conversion", ConversionRelationId, "pg_conversion", "CONVERSION", "conname", "true", nullptr,
	 R"(SELECT format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s', CASE WHEN c.condefault THEN 'DEFAULT ' ELSE '' END, n.nspname, c.conname,
			pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc)
		FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.oid = {oid})",
	 "conowner", nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"language", LanguageRelationId, "pg_language", "LANGUAGE", "lanname", "x.lanispl", nullptr,
	 R"(SELECT format('CREATE %sLANGUAGE %I HANDLER %s%s%s', CASE WHEN l.lanpltrusted THEN 'TRUSTED ' ELSE '' END, l.lanname, l.lanplcallfoid::regproc,
			CASE WHEN l.laninline <> 0 THEN ' INLINE ' || l.laninline::regproc ELSE '' END, CASE WHEN l.lanvalidator <> 0 THEN ' VALIDATOR ' || l.lanvalidator::regproc ELSE '' END)
		FROM pg_language l WHERE l.oid = {oid})",
	 "lanowner", "lanacl", "l", "LANGUAGE", nullptr, Change::Replace, false},
	{"transform", TransformRelationId, "pg_transform", "TRANSFORM", nullptr, "true",
	 R"((SELECT format('FOR %s LANGUAGE %I', format_type(x.trftype, NULL), lanname) FROM pg_language WHERE oid = x.trflang))",
	 R"(SELECT format('CREATE TRANSFORM FOR %s LANGUAGE %I (%s)', format_type(t.trftype, NULL), l.lanname, concat_ws(', ',
			'FROM SQL WITH FUNCTION ' || nullif(t.trffromsql::oid, 0)::regprocedure, 'TO SQL WITH FUNCTION ' || nullif(t.trftosql::oid, 0)::regprocedure))
		FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE t.oid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"access method", AccessMethodRelationId, "pg_am", "ACCESS METHOD", "amname", "true", nullptr,
	 R"(SELECT format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', amname, CASE amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, amhandler) FROM pg_am WHERE oid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"text search parser", TSParserRelationId, "pg_ts_parser", "TEXT SEARCH PARSER", "prsname",
	 "true", nullptr,
	 R"(SELECT format('CREATE TEXT SEARCH PARSER %I.%I (%s)', n.nspname, p.prsname, concat_ws(', ', 'START = ' || p.prsstart, 'GETTOKEN = ' || p.prstoken, 'END = ' || p.prsend,
			'LEXTYPES = ' || p.prslextype, 'HEADLINE = ' || nullif(p.prsheadline::oid, 0)::regproc))
		FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"text search template", TSTemplateRelationId, "pg_ts_template", "TEXT SEARCH TEMPLATE",
	 "tmplname", "true", nullptr,
	 R"(SELECT format('CREATE TEXT SEARCH TEMPLATE %I.%I (%s)', n.nspname, t.tmplname, concat_ws(', ', 'INIT = ' || nullif(t.tmplinit::oid, 0)::regproc, 'LEXIZE = ' || t.tmpllexize))
		FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"text search dictionary", TSDictionaryRelationId, "pg_ts_dict", "TEXT SEARCH DICTIONARY",
	 "dictname", "true", nullptr,
	 R"(SELECT format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, coalesce(', ' || nullif(d.dictinitoption, ''), ''))
		FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
		WHERE d.oid = {oid})",
	 "dictowner", nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"text search configuration", TSConfigRelationId, "pg_ts_config", "TEXT SEARCH CONFIGURATION",
	 "cfgname", "true", nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname)
		FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE c.oid = {oid}
		UNION ALL SELECT 2, format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', n.nspname, c.cfgname, t.alias,
			string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno))
		FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace, ts_token_type(c.cfgparser) t, pg_ts_config_map m
		WHERE c.oid = {oid} AND m.mapcfg = c.oid AND m.maptokentype = t.tokid GROUP BY n.nspname, c.cfgname, t.alias) c(step, s) ORDER BY step, s)",
	 "cfgowner", nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"foreign-data wrapper", ForeignDataWrapperRelationId, "pg_foreign_data_wrapper",
	 "FOREIGN DATA WRAPPER", "fdwname", "true", nullptr,
	 R"(SELECT format('CREATE FOREIGN DATA WRAPPER %I%s%s%s', fdwname, CASE WHEN fdwhandler <> 0 THEN ' HANDLER ' || fdwhandler::regproc ELSE '' END,
			CASE WHEN fdwvalidator <> 0 THEN ' VALIDATOR ' || fdwvalidator::regproc ELSE '' END, coalesce((SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(fdwoptions) HAVING count(*) > 0), ''))
		FROM pg_foreign_data_wrapper WHERE oid = {oid})",
	 "fdwowner", "fdwacl", "F", "FOREIGN DATA WRAPPER", nullptr, Change::Replace, false},
	{"server", ForeignServerRelationId, "pg_foreign_server", "SERVER", "srvname", "true", nullptr,
	 R"(SELECT format('CREATE SERVER %I%s%s FOREIGN DATA WRAPPER %I%s', s.srvname, CASE WHEN s.srvtype IS NOT NULL THEN ' TYPE ' || quote_literal(s.srvtype) ELSE '' END,
			CASE WHEN s.srvversion IS NOT NULL THEN ' VERSION ' || quote_literal(s.srvversion) ELSE '' END, w.fdwname, coalesce((SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(s.srvoptions) HAVING count(*) > 0), ''))
		FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.oid = {oid})",
	 "srvowner", "srvacl", "S", "FOREIGN SERVER", nullptr, Change::Replace, false},
	{"user mapping", UserMappingRelationId, "pg_user_mapping", "USER MAPPING", nullptr, "true",
	 R"((SELECT format('FOR %s SERVER %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u.umuser)) END, u.srvname) FROM pg_user_mappings u WHERE u.umid = x.oid))",
	 R"(SELECT format('CREATE USER MAPPING FOR %s SERVER %I%s', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u.umuser)) END, u.srvname,
			coalesce((SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(u.umoptions) HAVING count(*) > 0), '')) FROM pg_user_mappings u WHERE u.umid = {oid})",
	 nullptr, nullptr, nullptr, nullptr, nullptr, Change::Replace, true},
	{"event trigger", EventTriggerRelationId, "pg_event_trigger", "EVENT TRIGGER", "evtname",
	 "true", nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', evtname, evtevent,
			CASE WHEN evttags IS NOT NULL THEN format(' WHEN TAG IN (%s)', (SELECT string_agg(quote_literal(t), ', ') FROM unnest(evttags) t)) ELSE '' END, evtfoid::regproc)
		FROM pg_event_trigger WHERE oid = {oid}
		UNION ALL SELECT 2, format('ALTER EVENT TRIGGER %I %s', evtname, CASE evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END)
		FROM pg_event_trigger WHERE oid = {oid}) c(step, s) ORDER BY step)",
	 "evtowner", nullptr, nullptr, nullptr, nullptr, Change::Replace, false},
	{"view", RelationRelationId, "pg_class", "VIEW", "relname", "x.relkind = 'v'", nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, c.relname, CASE WHEN c.reloptions IS NOT NULL THEN format(' WITH (%s)', array_to_string(c.reloptions, ', ')) ELSE '' END, rtrim(pg_get_viewdef(c.oid), ';'))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}
		UNION ALL SELECT 2, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', c.oid::regclass, a.attname, pg_get_expr(d.adbin, c.oid))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.oid = {oid} AND 'pg_attrdef'::regclass::oid || ' ' || d.oid <> ALL ({own})
		UNION ALL SELECT 3, regexp_replace(pg_get_ruledef(r.oid), '^CREATE RULE', 'CREATE OR REPLACE RULE') FROM pg_rewrite r WHERE r.ev_class = {oid} AND r.rulename <> '_RETURN' AND 'pg_rewrite'::regclass::oid || ' ' || r.oid <> ALL ({own})
		UNION ALL SELECT 4, regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER') FROM pg_trigger t WHERE t.tgrelid = {oid} AND NOT t.tgisinternal AND 'pg_trigger'::regclass::oid || ' ' || t.oid <> ALL ({own})
		UNION ALL SELECT 6, format('COMMENT ON COLUMN %s.%I IS %L', c.oid::regclass, a.attname, col_description(c.oid, a.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = {oid} AND col_description(c.oid, a.attnum) IS NOT NULL) c(step, s) ORDER BY step, s)",
	 "relowner", "relacl", "r", "TABLE",
	 R"(SELECT 'pg_rewrite'::regclass::oid || ' ' || oid FROM pg_rewrite WHERE ev_class = {oid} AND rulename = '_RETURN')",
	 Change::InPlace, false,
	 R"(
	SELECT 'pg_rewrite'::regclass::oid || ' ' || oid FROM pg_rewrite WHERE ev_class = {oid} AND rulename <> '_RETURN'
	UNION ALL SELECT 'pg_trigger'::regclass::oid || ' ' || oid FROM pg_trigger WHERE tgrelid = {oid}
	UNION ALL SELECT 'pg_attrdef'::regclass::oid || ' ' || oid FROM pg_attrdef WHERE adrelid = {oid}
)"},
	{"materialized view", RelationRelationId, "pg_class", "MATERIALIZED VIEW", "relname",
	 "x.relkind = 'm'", nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE MATERIALIZED VIEW %I.%I%s%s AS %s WITH NO DATA', n.nspname, c.relname,
			(SELECT format(' USING %I', amname) FROM pg_am WHERE oid = c.relam), CASE WHEN c.reloptions IS NOT NULL THEN format(' WITH (%s)', array_to_string(c.reloptions, ', ')) ELSE '' END, rtrim(pg_get_viewdef(c.oid), ';'))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}
		UNION ALL SELECT 2, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = {oid} AND 'pg_class'::regclass::oid || ' ' || indexrelid <> ALL ({own})
		UNION ALL SELECT 6, format('COMMENT ON COLUMN %s.%I IS %L', c.oid::regclass, a.attname, col_description(c.oid, a.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = {oid} AND col_description(c.oid, a.attnum) IS NOT NULL) c(step, s) ORDER BY step, s)",
	 "relowner", "relacl", "r", "TABLE",
	 R"(SELECT 'pg_rewrite'::regclass::oid || ' ' || oid FROM pg_rewrite WHERE ev_class = {oid} AND rulename = '_RETURN')",
	 Change::Replace, false,
	 R"(SELECT 'pg_class'::regclass::oid || ' ' || indexrelid FROM pg_index WHERE indrelid = {oid})"},
	{"foreign table", RelationRelationId, "pg_class", "FOREIGN TABLE", "relname",
	 R"(x.relkind = 'f' AND NOT x.relispartition AND NOT EXISTS (SELECT FROM pg_inherits i WHERE x.oid IN (i.inhrelid, i.inhparent)) AND NOT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = x.oid))",
	 nullptr,
	 R"(SELECT s FROM (
		SELECT 1, format('CREATE FOREIGN TABLE %I.%I (%s) SERVER %I%s', n.nspname, c.relname, concat_ws(', ',
			(SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
				(SELECT format('OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(a.attfdwoptions) HAVING count(*) > 0),
				CASE WHEN a.attcollation <> y.typcollation THEN (SELECT format('COLLATE %I.%I', cn.nspname, co.collname)
					FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
				(SELECT CASE WHEN a.attgenerated = 's' THEN format('GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, c.oid)) ELSE 'DEFAULT ' || pg_get_expr(d.adbin, c.oid) END
					FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum), CASE WHEN a.attnotnull THEN 'NOT NULL' END), ', ' ORDER BY a.attnum)
				FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
			(SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ', ' ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')),
			s.srvname, coalesce((SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(f.ftoptions) HAVING count(*) > 0), ''))
		FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE c.oid = {oid}
		UNION ALL SELECT 6, format('COMMENT ON COLUMN %s.%I IS %L', c.oid::regclass, a.attname, col_description(c.oid, a.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = {oid} AND col_description(c.oid, a.attnum) IS NOT NULL) c(step, s) ORDER BY step, s)",
	 "relowner", "relacl", "r", "TABLE",
	 R"(
	SELECT 'pg_attrdef'::regclass::oid || ' ' || oid FROM pg_attrdef WHERE adrelid = {oid}
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE conrelid = {oid}
)",
	 Change::Replace, false,
	 R"(
	SELECT 'pg_rewrite'::regclass::oid || ' ' || oid FROM pg_rewrite WHERE ev_class = {oid}
	UNION ALL SELECT 'pg_trigger'::regclass::oid || ' ' || oid FROM pg_trigger WHERE tgrelid = {oid}
)"},
};
/* clang-format on */

char *fill_hole(const char *query, const char *hole, const char *text)
{
	pg::Str out;
	for (const char *at; (at = strstr(query, hole)) != nullptr; query = at + strlen(hole))
		out.raw(query, static_cast<int>(at - query)).raw(text);
	return out.raw(query).c_str();
}

/* A query about one kind: {x} is what statements call the object, {class}, {keyword}, {owner}, .. are the row's. */
char *fill(const ObjectKind& kind, const char *query, Oid object_id)
{
	struct Word
	{
		const char *hole;
		const char *text;
	};
	const Word words[] = {
		{"{class}", kind.class_name},
		{"{keyword}", kind.keyword},
		{"{condition}", kind.condition},
		{"{x}", kind.called != nullptr
					? kind.called
					: psprintf("(pg_identify_object('%s'::regclass, x.oid, 0)).identity",
							   kind.class_name)},
		{"{owner}", kind.owner_column},
		{"{rights}", kind.rights_column},
		{"{type}", kind.rights_type},
		{"{on}", kind.rights_keyword},
		{"{name}", kind.name_column},
	};
	pg::Str sql;
	for (const char *hole; (hole = strchr(query, '{')) != nullptr;)
	{
		sql.raw(query, static_cast<int>(hole - query));
		query = strchr(hole, '}') + 1;
		const char *text = nullptr;
		for (const Word& word : words)
			if (strncmp(hole, word.hole, query - hole) == 0 &&
				strlen(word.hole) == static_cast<size_t>(query - hole))
				text = word.text;
		if (text != nullptr)
			sql.raw(text);
		else
			sql.oid(object_id);
	}
	return sql.raw(query).c_str();
}

} // namespace

std::span<const ObjectKind> object_kinds()
{
	return KINDS;
}

bool has_object_kinds(Oid class_id)
{
	for (const ObjectKind& kind : KINDS)
		if (kind.class_id == class_id)
			return true;
	return false;
}

namespace {

/* Tables and what comes with them: without a query. */
bool cannot_be_of_kind(Oid class_id, Oid object_id)
{
	if (object_id < FirstNormalObjectId)
		return class_id != NamespaceRelationId;
	char relkind = '\0';
	if (class_id == RelationRelationId)
		relkind = get_rel_relkind(object_id);
	else if (class_id != TypeRelationId)
		return false;
	else if (OidIsValid(get_element_type(object_id)))
		return true;
	else if (get_typtype(object_id) == TYPTYPE_COMPOSITE)
	{
		/* Its relation is dropped before it. */
		relkind = get_rel_relkind(get_typ_typrelid(object_id));
		return relkind != RELKIND_COMPOSITE_TYPE && relkind != '\0';
	}
	else
		return false;
	return relkind != RELKIND_VIEW && relkind != RELKIND_MATVIEW &&
		   relkind != RELKIND_FOREIGN_TABLE;
}

} // namespace

/* Parts of another object (the functions of a range type) come with that. */
const ObjectKind *find_object_kind(Oid class_id, Oid object_id)
{
	if (cannot_be_of_kind(class_id, object_id))
		return nullptr;
	for (const ObjectKind& kind : KINDS)
		if (kind.class_id == class_id && kind.change != Change::Shell &&
			pg::sql_text(fill(
				kind,
				"SELECT '' FROM {class} x WHERE x.oid = {oid} AND {condition} AND NOT EXISTS "
				"(SELECT FROM pg_depend d "
				"WHERE d.classid = '{class}'::regclass AND d.objid = x.oid AND d.deptype = 'i')",
				object_id)) != nullptr)
			return &kind;
	return nullptr;
}

const ObjectKind *find_object_kind(const char *name)
{
	for (const ObjectKind& kind : KINDS)
		if (strcmp(kind.name, name) == 0)
			return &kind;
	return nullptr;
}

const ObjectKind *kind_of_address(const ObjectAddress& address)
{
	return address.objectSubId == SHELL_OF_TYPE
			   ? find_object_kind("type shell")
			   : find_object_kind(address.classId, address.objectId);
}

char *object_called(const ObjectKind& kind, Oid object_id)
{
	return pg::sql_text(fill(kind, "SELECT {x} FROM {class} x WHERE x.oid = {oid}", object_id));
}

char *drop_object_sql(const ObjectKind& kind, Oid object_id)
{
	return psprintf("DROP %s IF EXISTS %s%s", kind.keyword, object_called(kind, object_id),
					kind.bare ? "" : " CASCADE");
}

char *object_identity(const ObjectKind& kind, Oid object_id)
{
	return pg::sql_text(fill(
		kind, "SELECT (pg_identify_object('{class}'::regclass, {oid}, 0)).identity", object_id));
}

char *object_name(const ObjectKind& kind, Oid object_id)
{
	if (kind.name_column == nullptr)
		return pstrdup("");
	return pg::sql_text(
		fill(kind, "SELECT x.{name} FROM {class} x WHERE x.oid = {oid}", object_id));
}

Oid find_object(const ObjectKind& kind, const char *identity, const char *name)
{
	pg::Str sql;
	sql.raw(fill(kind, "SELECT x.oid::text FROM {class} x WHERE {condition}", InvalidOid));
	if (kind.name_column != nullptr)
		sql.raw(" AND x.").raw(kind.name_column).raw(" = ").literal(name);
	sql.raw(" AND (pg_identify_object('")
		.raw(kind.class_name)
		.raw("'::regclass, x.oid, 0)).identity = ");
	const char *found = pg::sql_text(sql.literal(identity).c_str());
	return found == nullptr ? InvalidOid : atooid(found);
}

List *object_creation(const ObjectKind& kind, Oid object_id)
{
	if (kind.loose_parts == nullptr)
		return pg::sql_texts(fill_object_query(kind.create, object_id));
	pg::Str own;
	ListCell *cell;
	own.raw("ARRAY[");
	foreach (cell, own_parts(kind, object_id))
	{
		const auto *part = static_cast<const ObjectAddress *>(lfirst(cell));
		own.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.literal(psprintf("%u %u", part->classId, part->objectId));
	}
	own.raw("]::text[]");
	return pg::sql_texts(
		fill_hole(fill_object_query(kind.create, object_id), "{own}", own.c_str()));
}

List *object_state(const ObjectKind& kind, Oid object_id)
{
	List *state = NIL;
	if (kind.owner_column != nullptr)
		state = pg::sql_texts(fill(kind,
								   "SELECT format('ALTER {keyword} %s OWNER TO %I', {x}, "
								   "pg_get_userbyid(x.{owner})) FROM {class} x "
								   "WHERE x.oid = {oid} AND pg_has_role(x.{owner}, 'MEMBER')",
								   object_id));
	if (kind.bare)
		return state;
	return list_concat(
		state, pg::sql_texts(fill(kind,
								  "SELECT format('COMMENT ON {keyword} %s IS %s', {x}, "
								  "coalesce(quote_literal(obj_description(x.oid, "
								  "'{class}')), 'NULL')) FROM {class} x WHERE x.oid = {oid} "
								  "UNION ALL SELECT format('SECURITY LABEL FOR %I ON {keyword} %s "
								  "IS %L', l.provider, {x}, l.label) FROM {class} x "
								  "JOIN pg_seclabel l ON l.objoid = x.oid AND l.classoid = "
								  "'{class}'::regclass AND l.objsubid = 0 WHERE x.oid = {oid}",
								  object_id)));
}

List *object_rights(const ObjectKind& kind, Oid object_id)
{
	if (kind.rights_column == nullptr)
		return NIL;
	pg::Str query;
	query.raw("SELECT format('%s ON {on} %s', a.privilege_type, {x}) || chr(1) || CASE WHEN "
			  "a.grantee = 0 THEN 'PUBLIC' ELSE "
			  "quote_ident(pg_get_userbyid(a.grantee)) END || chr(1) || CASE WHEN a.is_grantable "
			  "THEN ' WITH GRANT OPTION' ELSE '' END "
			  "FROM {class} x, aclexplode(coalesce(x.{rights}, acldefault('{type}', x.{owner}))) a "
			  "WHERE x.oid = {oid} AND a.grantee <> "
			  "x.{owner}");
	if (kind.class_id == RelationRelationId)
		query.raw(" UNION ALL SELECT format('%s (%I) ON {on} %s', a.privilege_type, c.attname, "
				  "{x}) || chr(1) || CASE WHEN a.grantee = 0 THEN "
				  "'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END || chr(1) || CASE "
				  "WHEN a.is_grantable THEN ' WITH GRANT OPTION' "
				  "ELSE '' END FROM {class} x JOIN pg_attribute c ON c.attrelid = x.oid, "
				  "aclexplode(c.attacl) a WHERE x.oid = {oid} AND "
				  "a.grantee <> x.{owner}");
	return pg::sql_texts(fill(kind, query.raw(" ORDER BY 1").c_str(), object_id));
}

char *fill_object_query(const char *query, Oid object_id)
{
	return fill_hole(query, "{oid}", psprintf("%u", object_id));
}

} // namespace civitas::ddl
