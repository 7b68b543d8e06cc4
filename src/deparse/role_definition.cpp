/*
 * role_definition.cpp: roles, read off pg_authid and pg_auth_members.
 *
 * The attributes come from the system cache, because a role that may create roles may not read
 * pg_authid.
 */
#include "civitas/deparse/role_definition.h"

#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::deparse {

namespace {

/* An option of CREATE ROLE that is a flag of pg_authid. */
struct Flag
{
	const char *option; /* as the parser calls it */
	const char *keyword;
	bool FormData_pg_authid::*column;
};

constexpr Flag FLAGS[] = {
	{"superuser", "SUPERUSER", &FormData_pg_authid::rolsuper},
	{"inherit", "INHERIT", &FormData_pg_authid::rolinherit},
	{"createrole", "CREATEROLE", &FormData_pg_authid::rolcreaterole},
	{"createdb", "CREATEDB", &FormData_pg_authid::rolcreatedb},
	{"canlogin", "LOGIN", &FormData_pg_authid::rolcanlogin},
	{"isreplication", "REPLICATION", &FormData_pg_authid::rolreplication},
	{"bypassrls", "BYPASSRLS", &FormData_pg_authid::rolbypassrls},
};

/* Null stands for every option. */
bool wanted(List *options, const char *name)
{
	if (options == NIL)
		return true;
	ListCell *cell;
	foreach (cell, options)
		if (strcmp(static_cast<const char *>(lfirst(cell)), name) == 0)
			return true;
	return false;
}

char *text_of(HeapTuple tuple, AttrNumber column)
{
	bool null;
	const Datum value = SysCacheGetAttr(AUTHOID, tuple, column, &null);
	return null ? nullptr : TextDatumGetCString(value);
}

/* " LOGIN PASSWORD '..' ..." */
char *attributes(HeapTuple tuple, List *options)
{
	const auto *role = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple));
	pg::Str sql;
	for (const Flag& flag : FLAGS)
		if (wanted(options, flag.option))
			sql.raw(role->*flag.column ? " " : " NO").raw(flag.keyword);
	if (wanted(options, "connectionlimit"))
		sql.raw(" CONNECTION LIMIT ").num(role->rolconnlimit);
	if (wanted(options, "password"))
		sql.raw(" PASSWORD ").literal_or_null(text_of(tuple, Anum_pg_authid_rolpassword));
	bool null;
	const Datum until = SysCacheGetAttr(AUTHOID, tuple, Anum_pg_authid_rolvaliduntil, &null);
	if (wanted(options, "validUntil") && (!null || options == NIL))
		sql.raw(" VALID UNTIL ")
			.literal(null ? "infinity"
						  : DatumGetCString(DirectFunctionCall1(timestamptz_out, until)));
	return sql.c_str();
}

HeapTuple role_tuple(Oid role)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", role)));
	return tuple;
}

/* " SET name TO 'value'", from name=value as the catalog has it; lists item by item. */
void append_setting(pg::Str *sql, const char *assignment)
{
	char *name = pstrdup(assignment);
	char *value = strchr(name, '=');
	if (value == nullptr)
		return;
	*value++ = '\0';
	sql->raw(" SET ").ident(name).raw(" TO ");
	List *items = NIL;
	if ((GetConfigOptionFlags(name, true) & GUC_LIST_QUOTE) == 0 ||
		!SplitGUCList(pstrdup(value), ',', &items) || items == NIL)
	{
		sql->literal(value);
		return;
	}
	ListCell *cell;
	foreach (cell, items)
		sql->raw(foreach_current_index(cell) > 0 ? ", " : "")
			.literal(static_cast<const char *>(lfirst(cell)));
}

List *assignments_of(Oid role, Oid database)
{
	return pg::sql_texts(psprintf("SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole "
								  "= %u AND setdatabase = %u",
								  role, database));
}

/* "; ALTER ROLE .. SET .." of all that the role has been given, everywhere (database 0) or in a
 * database; others are taken back. */
void append_settings(pg::Str *sql, const char *name, Oid role, Oid database)
{
	pg::Str alter;
	alter.raw("; ALTER ROLE ").ident(name);
	if (OidIsValid(database))
		alter.raw(" IN DATABASE ").ident(get_database_name(database));
	sql->raw(alter.c_str()).raw(" RESET ALL");
	List *assignments = assignments_of(role, database);
	ListCell *cell;
	foreach (cell, assignments)
		append_setting(&sql->raw(alter.c_str()), static_cast<const char *>(lfirst(cell)));
}

/* DO that runs the statements where there is no role of that name. */
char *where_missing(const char *name, const char *statements)
{
	pg::Str body;
	body.raw("BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname "
			 "OPERATOR(pg_catalog.=) ");
	body.literal(name).raw(") THEN ").raw(statements).raw("; END IF; END");
	pg::Str sql;
	return sql.raw("DO ").literal(body.c_str()).c_str();
}

/*
 * Memberships that `condition` picks, as GRANTs. Since 16 there is one for each grantor, and it says
 * whether rights are inherited and the role may be taken; superusers grant in the name of the first
 * one, and who makes a role without being one gets a membership from it, with CREATE ROLE. The node that runs the text may
 * be older: it grants what means the same there, and passes by roles of PostgreSQL's own that it does not have.
 */
constexpr const char *MEMBERSHIPS = R"(
	SELECT CASE WHEN j.al ? 'inherit_option' THEN
			format('DO %L', format('BEGIN IF pg_catalog.to_regrole(%L) IS NULL THEN NULL; ELSIF pg_catalog.current_setting(''server_version_num'')::pg_catalog.int4 OPERATOR(pg_catalog.>=) 160000 THEN %s; ELSE %s; END IF; END',
				quote_ident(g.rolname),
				format('EXECUTE %L', s.granted || format(' WITH ADMIN %s, INHERIT %s, SET %s', a.admin_option::text, j.al ->> 'inherit_option', j.al ->> 'set_option') ||
					CASE WHEN a.grantor IN (10, current_user::regrole) THEN '' ELSE ' GRANTED BY ' || a.grantor::regrole END),
				CASE WHEN (j.al ->> 'inherit_option')::boolean = m.rolinherit AND (j.al ->> 'set_option')::boolean
					THEN format('EXECUTE %L', s.older)
					ELSE format('RAISE EXCEPTION USING ERRCODE = %L, MESSAGE = %L, HINT = %L', '0A000',
						format('membership of role "%s" in role "%s" cannot be granted on a server before PostgreSQL 16', m.rolname, g.rolname),
						'Give it the options SET TRUE and INHERIT as the role has it until all nodes have a newer version.') END))
		ELSE s.older END
	FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
		JOIN pg_roles me ON me.rolname = current_user, LATERAL (SELECT to_jsonb(a) AS al) j,
		LATERAL (SELECT format('GRANT %I TO %I', g.rolname, m.rolname) AS granted,
			format('GRANT %I TO %I', g.rolname, m.rolname) || CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END AS older) s
	WHERE NOT (j.al ? 'inherit_option' AND a.grantor = 10 AND a.member = me.oid AND NOT me.rolsuper) AND ()";

List *memberships(const char *condition)
{
	pg::Str sql;
	sql.raw(MEMBERSHIPS).raw(condition).raw(") ORDER BY g.rolname, m.rolname, a.grantor");
	return pg::sql_texts(sql.c_str());
}

} // namespace

char *alter_role_command(Oid role, List *options)
{
	HeapTuple tuple = role_tuple(role);
	const char *list = attributes(tuple, options);
	pg::Str sql;
	sql.raw("ALTER ROLE ")
		.ident(NameStr(reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolname))
		.raw(list);
	ReleaseSysCache(tuple);
	return list[0] == '\0' ? nullptr : sql.c_str();
}

char *create_role_command(Oid role, List *options)
{
	const char *name = GetUserNameFromId(role, false);
	pg::Str create;
	create.raw("CREATE ROLE ").ident(name);
	pg::Str sql;
	sql.raw(where_missing(name, create.c_str()));
	const char *alter = alter_role_command(role, options);
	if (alter != nullptr)
		sql.raw("; ").raw(alter);
	List *grants = memberships(psprintf("a.roleid = %u OR a.member = %u", role, role));
	ListCell *cell;
	foreach (cell, grants)
		sql.raw("; ").raw(static_cast<const char *>(lfirst(cell)));
	return sql.c_str();
}

namespace {

/* DO that takes back memberships among the roles, other than those that are here. */
char *revoke_other_memberships(List *roles)
{
	pg::Str names;
	ListCell *cell;
	foreach (cell, roles)
		names.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.literal(GetUserNameFromId(atooid(static_cast<const char *>(lfirst(cell))), false));
	const char *kept =
		pg::sql_text("SELECT coalesce(string_agg(format('(%L, %L)', g.rolname, m.rolname), ', '), "
					 "'(NULL, NULL)') FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid "
					 "JOIN pg_roles m ON m.oid = a.member WHERE m.oid >= 16384");
	pg::Str body;
	body.raw("DECLARE r record; BEGIN FOR r IN SELECT g.rolname AS role, m.rolname AS member FROM "
			 "pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid "
			 "OPERATOR(pg_catalog.=) a.roleid JOIN pg_catalog.pg_roles m ON m.oid "
			 "OPERATOR(pg_catalog.=) a.member WHERE m.rolname::text OPERATOR(pg_catalog.=) ANY "
			 "(ARRAY[");
	body.raw(names.c_str()).raw("]::pg_catalog.text[]) AND NOT EXISTS (SELECT FROM (VALUES ");
	body.raw(kept).raw(") k(role, member) WHERE k.role OPERATOR(pg_catalog.=) g.rolname::text AND "
					   "k.member OPERATOR(pg_catalog.=) m.rolname::text) LOOP EXECUTE "
					   "pg_catalog.format('REVOKE %I FROM %I', r.role, r.member); END LOOP; END");
	pg::Str sql;
	return sql.raw("DO ").literal(body.c_str()).c_str();
}

} // namespace

List *role_commands()
{
	List *commands = NIL;
	List *roles = pg::sql_texts("SELECT oid::text FROM pg_roles WHERE oid >= 16384 ORDER BY oid");
	ListCell *cell;
	foreach (cell, roles)
	{
		const Oid role = atooid(static_cast<const char *>(lfirst(cell)));
		const char *name = GetUserNameFromId(role, false);
		pg::Str create;
		create.raw("CREATE ROLE ").ident(name);
		pg::Str sql;
		sql.raw(where_missing(name, create.c_str())).raw("; ").raw(alter_role_command(role, NIL));
		append_settings(&sql, name, role, InvalidOid);
		append_settings(&sql, name, role, MyDatabaseId);
		commands = lappend(commands, sql.c_str());
	}
	if (roles != NIL)
		commands = lappend(commands, revoke_other_memberships(roles));
	/* A membership that is there already is a NOTICE. */
	commands = lappend(commands, pstrdup("SET client_min_messages TO warning"));
	commands = list_concat(commands, memberships("a.roleid >= 16384 OR a.member >= 16384"));
	return lappend(commands, pstrdup("RESET client_min_messages"));
}

List *database_settings()
{
	List *commands = NIL;
	const Oid databases[] = {InvalidOid, MyDatabaseId};
	for (const Oid database : databases)
	{
		List *assignments = assignments_of(InvalidOid, database);
		ListCell *cell;
		foreach (cell, assignments)
		{
			pg::Str sql;
			if (OidIsValid(database))
				sql.raw("ALTER DATABASE ").ident(get_database_name(database));
			else
				sql.raw("ALTER ROLE ALL");
			append_setting(&sql, static_cast<const char *>(lfirst(cell)));
			commands = lappend(commands, sql.c_str());
		}
	}
	return commands;
}

} // namespace civitas::deparse
